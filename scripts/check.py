"""Lint, types and tests, on a machine with nothing but Python and pip. `.ci/run` runs this.

    python3 scripts/check.py [OPTIONS of pytest]

Installs this checkout for development (PyTorch included: about 5 GB) into .venv-check; from the second run
on it only checks. Every check runs whatever the others say; the exit code is 0 when all of them passed.
"""

import subprocess
import sys

from _environment import METADATA, ROOT, Environment, say

CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("pytest", *sys.argv[1:]),  # last, so that its summary ends the output
)


def main() -> int:
    environment = Environment(".venv-check")
    environment.install("[dev]", "--editable", inputs=METADATA, size="5.4 GB")
    outcomes = [passes(environment, *check) for check in CHECKS]
    return 0 if all(outcomes) else 1


def passes(environment: Environment, program: str, *options: str) -> bool:
    say(" ".join((program, *options)))
    return subprocess.run([environment.program(program), *options], cwd=ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
