"""diffres.toml and DIFFRES_* variables: found, read, and refused where they name no setting.

A setting is an option of a command, known by its long name: `--top-k` is `top-k` (or `top_k`) in the file
and DIFFRES_TOP_K in the environment. What a value may be, its option says; here all values are text, as
they would be in the environment, so that they are read in one way wherever they come from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from diffres_cli.errors import UsageError
from diffres_cli.files import reason
from diffres_cli.textfile import read_text

FILE_NAME = "diffres.toml"
PREFIX = "DIFFRES_"
FILE_VARIABLE = PREFIX + "CONFIG"
PLACES = (PREFIX + "DATA", PREFIX + "DATA_MIRROR")  # see `diffres_cli.datasets`

Commands = Mapping[str, Collection[str]]  # a command's name -> its settings


@dataclass(frozen=True)
class Value:
    """A value in a file.

    Attributes:
        text: as an option takes it. Where it is a path, it does not depend on the working directory.
        origin: the file and the line that says so, for messages.
        path: the file.
    """

    text: str
    origin: str
    path: Path


@dataclass(frozen=True)
class File:
    """What a diffres.toml says: `general` to every command that has the setting, `tables` to one."""

    path: Path
    general: dict[str, Value]
    tables: dict[str, dict[str, Value]]

    def values(self, command: str, settings: Iterable[str]) -> dict[str, Value]:
        """Those of a command's settings that have a value here; its table comes first.

        >>> value = lambda text: Value(text, "", Path())
        >>> file = File(Path(), {"fps": value("25"), "jobs": value("2")}, {"viz": {"fps": value("50")}})
        >>> {name: value.text for name, value in file.values("viz", ["fps", "top-k"]).items()}
        {'fps': '50'}
        """
        found = self.general | self.tables.get(command, {})
        return {name: found[name] for name in settings if name in found}


def variable(setting: str) -> str:
    """The environment variable of a setting.

    >>> variable("top-k")
    'DIFFRES_TOP_K'
    """
    return PREFIX + setting.upper().replace("-", "_")


def find_file(user_folder: str) -> Path | None:
    """The file DIFFRES_CONFIG names, else the nearest from the working directory up, else the user's."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    here = _working_directory()
    above = (here, *here.parents) if here else ()
    places = (folder / FILE_NAME for folder in (*above, Path(user_folder)))
    # Not Path.is_file: it raises where a folder above may not be searched.
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113


def read_file(path: Path, commands: Commands) -> File:
    """Read a diffres.toml.

    Args:
        commands: the commands that may have a table, with their settings.

    Raises:
        UsageError: it cannot be read, is not TOML, or names a setting or a command that does not exist.
    """
    content = _parse(path)
    everywhere = {name for settings in commands.values() for name in settings}
    tables = {name: entry for name, entry in content.items() if isinstance(entry, dict)}
    for name in tables:
        _require_known(f"{_shown(path)}: [{name}]", name, commands, "command with settings")
    general = {name: entry for name, entry in content.items() if name not in tables}
    return File(
        path,
        _values(path, general, everywhere, ""),
        {name: _values(path, table, commands[name], f"[{name}] ") for name, table in tables.items()},
    )


def check_environment(settings: Iterable[str]) -> None:
    """Refuse a DIFFRES_* variable that is a setting misspelt; others may mean something to others.

    Raises:
        UsageError: see above.
    """
    names = [name for name in os.environ if name.startswith(PREFIX)]
    if not names:
        return
    known = [*map(variable, settings), FILE_VARIABLE, *PLACES]
    for name in names:
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in known:
            raise UsageError(f"{name}: no such setting; nearest: {near[0]}")


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML document says.

    Raises:
        ValueError: it is none.
    """
    # Imported here: without a file it costs nothing.
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return cast("dict[str, Any]", tomllib.loads(text))


def _parse(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_text(path))
    except OSError as error:
        raise UsageError(f"{_shown(path)}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:  # also what is no text
        raise UsageError(f"{_shown(path)}: not TOML: {error}") from error


def _values(
    path: Path, entries: Mapping[str, object], settings: Collection[str], table: str
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, entry in entries.items():
        name = key.replace("_", "-")
        _require_known(f"{_shown(path)}: {table}{key}", name, settings, "setting")
        if name in values:  # TOML itself refuses one key twice
            raise UsageError(f"{_shown(path)}: {table}{key}: given twice, with - and with _")
        values[name] = _value(path, name, entry, f"{_shown(path)}: {table}{key} = ")
    return values


def _value(path: Path, name: str, entry: object, origin: str) -> Value:
    if isinstance(entry, bool):
        return Value(str(entry).lower(), origin + str(entry).lower(), path)
    if isinstance(entry, (int, float)):
        return Value(str(entry), f"{origin}{entry}", path)
    if isinstance(entry, str):
        return Value(_located(path, name, entry), f'{origin}"{entry}"', path)
    raise UsageError(f"{origin}{entry}: expected text in quotes, a number, true or false")


def _located(path: Path, name: str, text: str) -> str:
    """A path as seen from the file that names it. A model without a slash is a name, not a path."""
    if name == "labels" or (name == "model" and "/" in text and not text.startswith("hf:")):
        return str(path.absolute().parent / Path(text).expanduser())
    return text


def _require_known(origin: str, name: str, known: Collection[str], kind: str) -> None:
    if name in known:
        return
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"nearest: {near[0]}" if near else f"choose {', '.join(sorted(known))}"
    raise UsageError(f"{origin}: no such {kind}; {hint}")


def _shown(path: Path) -> str:
    """Its bare name in the working directory; elsewhere the whole path."""
    return path.name if path.parent == _working_directory() else str(path)


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None
