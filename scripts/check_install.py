"""The package as a user gets it: a wheel, installed without constraints.txt, and put to use.

    python3 scripts/check_install.py

Every extra gets a fresh environment, one after the other, which is removed afterwards: about 5 GB for a few
minutes. What passed once is left out until what pyproject.toml states has changed; with CI set, nothing is.
`scripts/check.py` runs this.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _environment import METADATA, ROOT, Environment, digest, say

FOLDER = ROOT / ".venv-install"
STAMP = ROOT / ".venv-check" / "install-stamp"
EXAMPLES = ROOT / "examples"
SIREN, RAIN = str(EXAMPLES / "siren.ogg"), str(EXAMPLES / "rain.ogg")

NO_TORCH = """
import sys
from importlib.util import find_spec
from diffres_cli import load_tagger
assert find_spec("torch") is None
assert load_tagger("audioset-small").tag(sys.argv[1]).labels[0].parents
"""
READ_PARQUET = """
import sys
from pyarrow.parquet import read_table
assert "Siren" in read_table(sys.argv[1])["label"].to_pylist()
"""
RECIPE = ["--recipe", str(EXAMPLES / "train.toml"), "--data", str(EXAMPLES / "clips.csv")]

# What to do in the environment of each extra: a command, and what its output must hold.
USES: dict[str, list[tuple[list[str], str]]] = {
    "": [
        (["diffres", "tag", SIREN, "-f", "csv"], "Siren"),
        (["python", "-c", NO_TORCH, SIREN], ""),
    ],
    "[parquet]": [
        (["diffres", "tag", SIREN, "-o", "tags.parquet"], ""),
        (["python", "-c", READ_PARQUET, "tags.parquet"], ""),
    ],
    "[ray]": [
        (["diffres", "tag", SIREN, "--engine", "ray", "-j", "1", "-o", "tags"], "1 tagged"),
        (["python", "-c", READ_PARQUET, "tags"], ""),
    ],
    "[train]": [
        (["diffres", "tag", SIREN, "--backend", "torch", "-f", "csv"], "Siren"),
        (["diffres", "train", *RECIPE, "--epochs", "1", "--device", "cpu", "-o", "run", "-q"], "run"),
        (["diffres", "eval", "run", "--fps", "25,100", "--device", "cpu", "-q"], "100"),
        (["diffres", "export", "run", "-o", "model"], "agree"),
        (["diffres", "tag", RAIN, "-m", "model", "--window", "1.5", "-c", "0", "-f", "csv"], "rain"),
    ],
}


def main() -> int:
    made_of = digest((*METADATA, "scripts/check_install.py")) + sys.version
    if not os.environ.get("CI") and STAMP.exists() and STAMP.read_text("utf-8") == made_of:
        return 0
    with emptied(FOLDER):
        wheel = build()
        outcomes = [works(wheel, extra) for extra in USES]
    if all(outcomes) and STAMP.parent.is_dir():
        STAMP.write_text(made_of, "utf-8")
    return 0 if all(outcomes) else 1


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """An empty folder, removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def build() -> Path:
    """The wheel that a release would publish."""
    builder = Environment(f"{FOLDER.name}/builder")
    builder.create()
    builder.pip("wheel", "--no-deps", "--wheel-dir", str(FOLDER), ".")
    return next(FOLDER.glob("*.whl"))


def works(wheel: Path, extra: str) -> bool:
    """Whether the wheel with an extra installs without constraints and does what the extra is for."""
    with emptied(FOLDER / "use"):
        environment = Environment(f"{FOLDER.name}/use/environment")
        environment.create()
        say(f"installing {wheel.name}{extra} as a user does")
        environment.pip("install", f"{wheel}{extra}")
        uses = [(["python", "-m", "pip", "check"], ""), *USES[extra]]
        return all(passes(environment, command, expected) for command, expected in uses)


def passes(environment: Environment, command: list[str], expected: str) -> bool:
    """Run a command outside of the checkout; say what it said where that is not as expected."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [environment.program(command[0]), *command[1:]],
        cwd=FOLDER / "use",
        env=outside,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode == 0 and expected in done.stdout:
        return True
    say(f"exit code {done.returncode}, expected 0 and {expected!r}: {' '.join(command)}")
    sys.stderr.write(done.stdout)
    return False


if __name__ == "__main__":
    sys.exit(main())
