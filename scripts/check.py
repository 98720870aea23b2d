"""Lint, types, installation and tests, on a machine with nothing but Python and pip. `.ci/run` runs this.

    python3 scripts/check.py [OPTIONS of pytest]

Installs this checkout for development (PyTorch included: about 5 GB) into .venv-check; from the second run
on it only checks. `check_install.py` takes about as much again while it runs, which is once. Every check
runs whatever the others say; the exit code is 0 when all of them passed.
"""

import subprocess
import sys

from _environment import METADATA, ROOT, Environment, say

# NumPy's annotations decide how types are checked. Those for Python 3.10 are too loose for strict checks, and
# those for Python 3.12 and newer cannot be read as the 3.10 that pyproject.toml asks for.
MYPY = {(3, 10): None, (3, 11): ("mypy",)}.get(sys.version_info[:2], ("mypy", "--python-version=3.12"))

CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    MYPY,
    ("python", "scripts/check_install.py"),
    ("pytest", "-n2", "--dist=loadfile", *sys.argv[1:]),  # last, so that its summary ends the output
)


def main() -> int:
    environment = Environment(".venv-check")
    environment.install("[dev]", "--editable", inputs=METADATA, size="5.4 GB")
    if MYPY is None:
        say("mypy is left out: NumPy has annotations to check against from Python 3.11 on")
    outcomes = [passes(environment, *check) for check in CHECKS if check]
    return 0 if all(outcomes) else 1


def passes(environment: Environment, program: str, *options: str) -> bool:
    say(" ".join((program, *options)))
    return subprocess.run([environment.program(program), *options], cwd=ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
