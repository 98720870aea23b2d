"""Plans where they lie: shipped with the program, by name, or in a user's file."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from diffres_cli.comparison.plan import Plan, parse
from diffres_cli.errors import UsageError
from diffres_cli.files import read_toml

PLANS = Path(__file__).parent / "plans"


def shipped_plans() -> dict[str, Path]:
    """The plans that come with the program, by name."""
    return {path.stem: path for path in sorted(PLANS.glob("*.toml"))}


def read_plan(name: str) -> tuple[Plan, list[str]]:
    """The plan of this name, or in this file, and its faults: see `parse`.

    Raises:
        UsageError: no such plan or file, or not TOML.
    """
    path = shipped_plans().get(name) or Path(name)
    if not os.path.lexists(path):
        raise UsageError(f"{name}: no such file, and no plan of that name; {_advice(name)}")
    return parse(read_toml(path), path)


def _advice(name: str) -> str:
    near = get_close_matches(name, list(shipped_plans()), 2, 0.5)
    return f"did you mean {', or '.join(near)}?" if near else "`diffres compare --plans` lists them"
