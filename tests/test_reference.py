"""docs/cli.md is what the program says of itself."""

import os
import subprocess
import sys
from pathlib import Path

from command import ROOT

PAGE = ROOT / "docs" / "cli.md"
SCRIPT = ROOT / "scripts" / "write_cli_reference.py"


def written(**environment: str) -> str:
    code = f"import runpy; print(runpy.run_path({os.fspath(SCRIPT)!r})['reference'](), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, capture_output=True
    )
    return done.stdout.decode("utf-8")


def test_the_page_is_what_the_script_writes() -> None:
    assert PAGE.read_text("utf-8") == written(), f"run: python {SCRIPT.relative_to(ROOT)}"


def test_no_setting_of_whoever_writes_it_gets_into_the_page(tmp_path: Path) -> None:
    (tmp_path / "diffres.toml").write_text("top-k = 77")
    assert "77" not in written(DIFFRES_TOP_K="77", DIFFRES_CONFIG=str(tmp_path / "diffres.toml"))


def test_every_option_and_command_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    assert all(f"## diffres {name}" in page for name in ("tag", "viz", "config", "models push"))
    assert all(f"`{option}" in page for option in ("--fps", "--merge-gap", "--shard", "--no-events"))
