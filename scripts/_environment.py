"""Virtual environments for the two set-up commands, made with the standard library and pip alone.

A finished environment carries a stamp that names what it was made from. The stamp is removed before pip
starts and written after it ends well, so an interrupted installation is never taken for a finished one.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path

if sys.version_info < (3, 10):  # noqa: UP036 - run by whatever python3 is, before pip could object
    sys.exit("diffres: Python 3.10 or newer is needed, this is {}.{}".format(*sys.version_info[:2]))

ROOT = Path(__file__).resolve().parent.parent
METADATA = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "NOTICE")


def say(line: str) -> None:
    """Report a step on standard error: standard output belongs to the command that follows."""
    print(f"diffres: {line}", file=sys.stderr, flush=True)


class Environment:
    """A virtual environment in the folder `name` of the repository."""

    def __init__(self, name: str) -> None:
        self._folder = ROOT / name
        self._programs = self._folder / ("Scripts" if os.name == "nt" else "bin")
        self._stamp = self._folder / "diffres-stamp"
        # A virtual environment holds for one interpreter, and its programs for one place on the disk.
        self._identity = repr((sys.version, sys.base_prefix, str(self._folder)))

    def program(self, name: str) -> str:
        """Return the full path of a program installed in this environment."""
        return str(self._programs / (f"{name}.exe" if os.name == "nt" else name))

    def install(self, extra: str, *options: str, inputs: Iterable[str], size: str) -> None:
        """Install this checkout with an extra ("" for none), pinned by constraints.txt, if not done already.

        `options` are pip's. `inputs` name the files and folders of the repository whose change calls for
        doing it again. Exits with pip's own words and one line of ours when it cannot be done.
        """
        stamp = [self._identity, " ".join((*options, extra)), digest(inputs)]
        found = self._stamp.read_text("utf-8").splitlines() if self._stamp.exists() else []
        if found == stamp:
            return
        if found[:1] != [self._identity]:
            self.create()
        self._stamp.unlink(missing_ok=True)
        say(f"installing diffres{extra} and what it needs ({size} on disk)")
        self.pip("install", "-c", "constraints.txt", *options, f".{extra}")
        self._stamp.write_text("\n".join(stamp), "utf-8")

    def create(self) -> None:
        """Make the environment anew, with pip and nothing else."""
        say(f"making {self._folder.name} with Python {sys.version.split()[0]}")
        bundled = importlib.util.find_spec("ensurepip") is not None
        try:
            venv.EnvBuilder(clear=True, with_pip=bundled, symlinks=os.name != "nt").create(self._folder)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"diffres: cannot make {self._folder}: {error}")
        if not bundled:  # as on Debian without its package python3-venv: let the running pip bring pip in
            self._run(sys.executable, "-m", "pip", "--python", self.program("python"), "install", "pip")

    def pip(self, *command: str) -> None:
        """Run pip in the repository. Exits with its own words and one line of ours when it fails."""
        self._run(self.program("python"), "-m", "pip", *command)

    def _run(self, *command: str) -> None:
        pip = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if pip.returncode:
            sys.stderr.write(pip.stdout.decode(errors="replace"))
            sys.exit(
                f"diffres: cannot set up {self._folder.name}, for the reason above. Needed: a package index"
                " that pip can reach, and pip >= 22.3 or ensurepip (Debian: apt install python3-venv)."
            )


def digest(inputs: Iterable[str]) -> str:
    """Fingerprint files and folders of the repository, names and contents."""
    digest = hashlib.sha256()
    for path in (file for name in inputs for file in _files(ROOT / name)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    found = path.rglob("*") if path.is_dir() else [path]
    yield from sorted(file for file in found if file.is_file() and file.suffix != ".pyc")
