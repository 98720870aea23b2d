"""Tag the shipped examples with the shipped model, on a machine with nothing but Python and pip.

    python3 scripts/demo.py [OPTIONS of diffres tag]

Installs this checkout as a user would get it, PyTorch not included, into .venv-demo; from the second run on
it only tags. The exit code is that of `diffres tag`.
"""

import subprocess
import sys

from _environment import METADATA, ROOT, Environment, say


def main() -> int:
    environment = Environment(".venv-demo")
    environment.install("", inputs=(*METADATA, "diffres_cli", "checkpoints"), size="0.3 GB")
    command = ["tag", "examples", *sys.argv[1:]]
    say(" ".join(command))
    program = environment.program("diffres")
    code = subprocess.run([program, *command], cwd=ROOT).returncode
    if not code and not sys.argv[1:]:
        say(f"tag recordings of your own with {program} tag RECORDING")
    return code


if __name__ == "__main__":
    sys.exit(main())
