"""Plans where they lie: shipped with the program, by name, or in a user's file."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from diffres_cli.comparison.plan import Plan, parse
from diffres_cli.config import parse_toml
from diffres_cli.errors import UsageError
from diffres_cli.files import reason
from diffres_cli.text import read_text

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
    try:
        return parse(parse_toml(read_text(path)), path)
    except FileNotFoundError as error:
        raise UsageError(f"{name}: no such file, and no plan of that name; {_advice(name)}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error


def _advice(name: str) -> str:
    near = get_close_matches(name, list(shipped_plans()), 2, 0.5)
    return f"did you mean {', or '.join(near)}?" if near else "`diffres compare --plans` lists them"
