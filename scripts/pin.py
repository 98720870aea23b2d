"""Write constraints.txt: the versions pip picks today for a base and a dev install, on every Python given.

    python3 scripts/pin.py python3.10 python3.11 python3.12 python3.13

For each interpreter the newest pip resolves the project in a throw-away environment, without installing it.
Where the interpreters end up with different versions, the lines carry environment markers.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("diffres", "nvidia-", "cuda-")  # ourselves; and the CUDA libraries, which torch itself pins
HEADER = """\
# Every package that the base and the dev install pull in, at the versions the tests passed with.
# Made on Linux by: python3 scripts/pin.py {interpreters}
"""

Python = tuple[int, int]


def main() -> None:
    interpreters = sys.argv[1:] or sys.exit(__doc__)
    found: dict[str, dict[Python, str]] = defaultdict(dict)
    for interpreter in interpreters:
        python, versions = resolve(interpreter)
        for name, version in versions.items():
            found[name][python] = version
    pythons = sorted({python for versions in found.values() for python in versions})
    lines = [line for name in sorted(found) for line in constraints(name, found[name], pythons)]
    names = " ".join(f"python{dotted(python)}" for python in pythons)
    (ROOT / "constraints.txt").write_text(
        HEADER.format(interpreters=names) + "\n".join(lines) + "\n", "utf-8"
    )


def resolve(interpreter: str) -> tuple[Python, dict[str, str]]:
    """Return an interpreter's (major, minor) and the version it gets of each package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "--quiet", "install"]
        subprocess.run([*pip, "--upgrade", "pip"], check=True)
        options = ["--dry-run", "--ignore-installed", "--report", "-"]
        report = subprocess.run([*pip, *options, f"{ROOT}[dev]"], check=True, stdout=subprocess.PIPE)
    return _read(json.loads(report.stdout))


def _read(report: dict[str, Any]) -> tuple[Python, dict[str, str]]:
    major, minor = report["environment"]["python_version"].split(".")
    packages = [item["metadata"] for item in report["install"]]
    versions = {
        re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"].partition("+")[0]
        for package in packages
    }
    kept = {name: version for name, version in versions.items() if not name.startswith(LEFT_OUT)}
    return (int(major), int(minor)), kept


def constraints(name: str, versions: dict[Python, str], pythons: list[Python]) -> list[str]:
    """Return the lines for one package; the newest Python given also speaks for those after it.

    >>> for line in constraints("numpy", {(3, 10): "2.2", (3, 11): "2.4"}, [(3, 10), (3, 11)]):
    ...     print(line)
    numpy==2.2; python_version < "3.11"
    numpy==2.4; python_version >= "3.11"
    """
    if len(set(versions.values())) == 1:
        return [f"{name}=={next(iter(versions.values()))}"]
    spans = [list(span) for _, span in groupby(sorted(versions), key=versions.__getitem__)]
    return [f"{name}=={versions[span[0]]}; {_marker(span, pythons)}" for span in spans]


def _marker(span: list[Python], pythons: list[Python]) -> str:
    after = pythons.index(span[-1]) + 1
    first = [f'python_version >= "{dotted(span[0])}"'] if span[0] != pythons[0] else []
    last = [f'python_version < "{dotted(pythons[after])}"'] if after < len(pythons) else []
    return " and ".join(first + last)


def dotted(python: Python) -> str:
    return ".".join(map(str, python))


if __name__ == "__main__":
    main()
