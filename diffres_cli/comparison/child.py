"""Processes that work for a comparison: started, listened to, stopped; gone when their parent is.

Real ones, each with a module of this package as its program: what takes one down, a lack of memory or a fault
in a library, costs the others nothing. A child's standard input is a pipe that its parent never writes to,
so that it closes when the parent is gone, however that came about. What a child says goes to a log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diffres_cli.errors import DiffresError, OutputError
from diffres_cli.files import reason
from diffres_cli.imports import required

_PATIENCE = 20.0  # seconds for a process to stop by itself
_FAILED = 1


@dataclass(frozen=True)
class Slot:
    """Where one process at a time works. device: auto, cpu, cuda or cuda:N; threads: of it, 0 for any."""

    device: str = "auto"
    threads: int = 0

    @property
    def kind(self) -> str:
        """The device as the process sees it, which knows of one GPU."""
        return self.device.partition(":")[0]

    def environment(self) -> dict[str, str]:
        """The environment of a process here: it sees its own GPU only, and does not crowd the others."""
        held = dict(os.environ)
        if self.threads:
            held |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        if self.device.startswith("cuda:"):
            number = int(self.device.removeprefix("cuda:"))
            seen = [name for name in held.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
            held["CUDA_VISIBLE_DEVICES"] = seen[number] if number < len(seen) else str(number)
        elif self.device == "cpu":
            held["CUDA_VISIBLE_DEVICES"] = ""
        return held


@dataclass(frozen=True)
class Child:
    """A process at work, and the file that holds what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def failure(self) -> str | None:
        """Why it failed, "" when it did its work, None while it is at it."""
        code = self.process.poll()
        if code is None:
            return None
        self.close()
        if code == 0:
            return ""
        if code == -signal.SIGKILL:
            why = "killed by SIGKILL: out of memory?"
        elif code < 0:
            why = f"killed by {signal.Signals(-code).name}"
        else:
            why = last_line(self.log).removeprefix("diffres: ") or f"exit code {code}"
        return f"{why} (see {self.log})"

    def close(self) -> None:
        """Let go of its standard input."""
        if self.process.stdin:
            self.process.stdin.close()


def launch(module: str, order: str, slot: Slot, log: Path) -> Child:
    """Start a module as a process; a terminal's Ctrl-C does not reach it.

    Raises:
        OutputError: the log cannot be written.
    """
    try:
        told = log.open("ab")
    except OSError as error:
        raise OutputError(f"cannot write {log}: {reason(error)}") from error
    with told:
        process = subprocess.Popen(
            [sys.executable, "-c", _as_here(module), order],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=told,
            env=slot.environment(),
            start_new_session=True,
        )
    return Child(process, log)


def _as_here(module: str) -> str:
    """A program that runs a module with the import path of this process. `-m` would put the working directory
    first, and a folder of data may hold a torch.py."""
    return (
        f"import sys; sys.path = {sys.path!r}; import runpy; runpy.run_module({module!r}, None, '__main__')"
    )


def stop(children: Iterable[Child]) -> None:
    """Tell all to stop, then make them."""
    held = list(children)
    for child in held:
        child.process.terminate()
    deadline = time.monotonic() + _PATIENCE
    for child in held:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _kill(child.process)
            child.process.wait()
        child.close()


def last_line(log: Path) -> str:
    """The last thing a log says; empty without one."""
    try:
        lines = log.read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def tell(message: str) -> None:
    """Say something, as a child."""
    print(message, file=sys.stderr, flush=True)


def serve(work: Callable[[str], None]) -> None:
    """A child's life: carry out the order on its command line, until the parent is gone or says stop."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with required("diffres compare", "diffres[train]"):
            work(sys.argv[1])
    except DiffresError as error:
        tell(f"diffres: {error}")
        sys.exit(_FAILED)


def _end_with_parent() -> None:
    os.read(0, 1)  # until the pipe closes
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would interrupt the tidying up
    raise SystemExit(128 + number)  # rather than die at once: a half-written file is removed on the way out


def _kill(process: subprocess.Popen[bytes]) -> None:
    """It and what it started: readers of the data, say."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
