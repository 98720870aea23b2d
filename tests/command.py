"""The `diffres` program for tests: in a process of its own, or in this one where that makes no difference."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from patience import PATIENCE

from diffres_cli.cli.main import run

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
# As on a machine where these packages are not installed: code for `spawn`.
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
PROGRAM = [sys.executable, "-m", "diffres_cli"]


class Result(NamedTuple):
    """How a run ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What the one line on standard error says."""
        line = re.fullmatch(r"diffres: (.+)\n", self.err)
        assert line, f"not one line: {self.err!r}"
        return line[1]


def invoke(*arguments: str | Path) -> Result:
    """Run a command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", newline="") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = run([os.fspath(argument) for argument in arguments])
    return Result(code, *map(_text, (out, err)))


def spawn(*arguments: str | Path, code: str = "", **how: Any) -> Result:
    """Run a command line in a process of its own, after `code`. Standard input is empty, or `input`."""
    main = f"{code}\nfrom diffres_cli.__main__ import main\nmain()"
    program = [sys.executable, "-c", main] if code else PROGRAM
    how = {"input": b"", "capture_output": True, "timeout": PATIENCE} | how
    done = subprocess.run([*program, *arguments], **how)
    out, err = ((text or b"").decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return Result(done.returncode, out, err)


def start(*arguments: str | Path, **how: Any) -> subprocess.Popen[bytes]:
    """Start a command line in a process of its own, its output in pipes."""
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen([*PROGRAM, *arguments], **how)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
