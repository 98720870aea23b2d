"""diffres.toml and DIFFRES_* variables: found, read, and refused where they name no setting.

A setting is an option of a command, known by its long name: `--top-k` is `top-k` (or `top_k`) in the file
and DIFFRES_TOP_K in the environment. All values are text here, as they are in
the environment: their option checks them, wherever they come from.

A file in the working directory or above it may have come with the data, from anybody. It sets how to tag, and
never which other machines are spoken to or which code runs: see `needs_trust`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from diffres_cli.errors import UsageError
from diffres_cli.files import read_toml
from diffres_cli.text import nearest

FILE_NAME = "diffres.toml"
PREFIX = "DIFFRES_"
FILE_VARIABLE = PREFIX + "CONFIG"
PLACES = (PREFIX + "DATA", PREFIX + "DATA_MIRROR")  # see `diffres_cli.datasets`

_PATHS = ("labels", "model")
_TRUE = ("1", "true", "t", "yes", "y", "on")  # as options take it

# A command's name -> its settings. To find them out takes time, so it is done only where a file is read.
Commands = Callable[[], Mapping[str, Collection[str]]]


@dataclass(frozen=True)
class Value:
    """A value in a file.

    Attributes:
        text: as an option takes it. Where it is a path, it does not depend on the working directory.
        origin: the file and the line, for messages.
        path: the file. discovered: it is in the working directory or above, and the user did not name it.
    """

    text: str
    origin: str
    path: Path
    discovered: bool = False


@dataclass(frozen=True)
class Config:
    """The settings that all files state.

    Attributes:
        values: a command's name -> its settings that have a value.
        files: those that count, the first before the second. ignored: those of other users.
    """

    values: dict[str, dict[str, Value]]
    files: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()


def needs_trust(setting: str, text: str) -> bool:
    """Whether a value names another machine, or code to run: nothing for a discovered file to set.

    >>> needs_trust("ray-address", "10.0.0.1:6379"), needs_trust("model", "hf:org/name")
    (True, True)
    >>> needs_trust("model", "models/mine"), needs_trust("offline", "true")
    (False, False)
    >>> needs_trust("format", "package.module:Format"), needs_trust("format", "json")
    (True, False)
    """
    if setting == "format":
        return ":" in text  # an import path
    if setting == "offline":
        return text.strip().lower() not in _TRUE
    remote = ("hf:", "//", "\\\\")  # a hub, or on Windows another machine's drive
    return setting in ("engine", "ray-address") or (setting in _PATHS and text.startswith(remote))


def variable(setting: str) -> str:
    """The environment variable of a setting.

    >>> variable("top-k")
    'DIFFRES_TOP_K'
    """
    return PREFIX + setting.upper().replace("-", "_")


def read_config(user_folder: str, commands: Commands) -> Config:
    """The file DIFFRES_CONFIG names; else the nearest from the working directory up, then the user's own.

    On the way up, files of other users are ignored, but for root's.

    Args:
        user_folder: where the user's own file is. commands: see `read_file`.

    Raises:
        UsageError: see `read_file`.
    """
    own, found, ignored = Path(user_folder) / FILE_NAME, None, list[Path]()
    if named := os.environ.get(FILE_VARIABLE):
        files = [Path(named)]
    else:
        above = list(_above(own))
        found = next(filter(_is_trusted, above), None)
        ignored = above[: above.index(found)] if found else above
        files = [path for path in (found, own) if path and _is_file(path)]
    known = commands() if files else {}
    values: dict[str, dict[str, Value]] = {command: {} for command in known}
    for path in reversed(files):
        for command, given in read_file(path, known, discovered=path is found).items():
            values[command] |= given
    return Config(values, tuple(files), tuple(ignored))


def read_file(
    path: Path, commands: Mapping[str, Collection[str]], *, discovered: bool = False
) -> dict[str, dict[str, Value]]:
    """Read a diffres.toml: settings outside tables hold for every command that has the setting.

    Args:
        commands: those that may have a table, with their settings. discovered: see `Value`.

    Returns:
        A command's name -> its settings that have a value.

    Raises:
        UsageError: it cannot be read, is not TOML, or names a setting or a command that does not exist.
    """
    content = read_toml(Path(_shown(path)))
    everywhere = {name for settings in commands.values() for name in settings}
    tables = {name: entry for name, entry in content.items() if isinstance(entry, dict)}
    for name in tables:
        _require_known(f"{_shown(path)}: [{name}]", name, commands, "command with settings")
    shared = {name: entry for name, entry in content.items() if name not in tables}
    general = _values(path, shared, everywhere, "", discovered)
    return {
        name: {key: value for key, value in general.items() if key in settings}
        | _values(path, tables.get(name, {}), settings, f"[{name}] ", discovered)
        for name, settings in commands.items()
    }


def check_environment(commands: Commands) -> None:
    """Refuse a DIFFRES_* variable that is a setting misspelt; others may mean something to others.

    Args:
        commands: gives all commands with their settings; asked only where there is a variable to check.

    Raises:
        UsageError: see above.
    """
    others = (FILE_VARIABLE, *PLACES)
    names = [name for name in os.environ if name.startswith(PREFIX) and name not in others]
    if not names:
        return
    known = [*{variable(setting) for settings in commands().values() for setting in settings}, *others]
    for name in names:
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in known:
            raise UsageError(f"{name}: no such setting; nearest: {near[0]!r}")


def _values(
    path: Path, entries: Mapping[str, object], settings: Collection[str], table: str, discovered: bool
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, entry in entries.items():
        name, origin = key.replace("_", "-"), f"{_shown(path)}: {table}{key}"
        _require_known(origin, name, settings, "setting")
        if name in values:  # TOML itself refuses one key twice
            raise UsageError(f"{origin}: given twice, with - and with _")
        if not isinstance(entry, (bool, int, float, str)):
            raise UsageError(f"{origin} = {entry}: expected text in quotes, a number, true or false")
        text = str(entry).lower() if isinstance(entry, bool) else str(entry)
        shown = f'"{text}"' if isinstance(entry, str) else text
        values[name] = Value(_located(path, name, text), f"{origin} = {shown}", path, discovered)
    return values


def _located(path: Path, name: str, text: str) -> str:
    """A path as seen from the file that names it. A model without a slash is a name, not a path."""
    if name in _PATHS and not needs_trust(name, text) and (name == "labels" or "/" in text):
        return str(path.absolute().parent / Path(text).expanduser())
    return text


def _require_known(origin: str, name: str, known: Collection[str], kind: str) -> None:
    if name in known:
        return
    hint = nearest(name, known, f"choose {', '.join(sorted(known))}")
    raise UsageError(f"{origin}: no such {kind}; {hint}")


def _above(own: Path) -> Iterator[Path]:
    """The files in the working directory and the folders above it, the nearest first, but for the user's."""
    here = _working_directory()
    for folder in (here, *here.parents) if here else ():
        path = folder / FILE_NAME
        if path != own and _is_file(path):
            yield path


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises where a folder may not be searched)


def _is_trusted(path: Path) -> bool:
    """Whether a file is this user's or the system's."""
    return sys.platform == "win32" or path.stat().st_uid in (os.geteuid(), 0)


def _shown(path: Path) -> str:
    """Its bare name in the working directory; otherwise the whole path."""
    return path.name if path.parent == _working_directory() else str(path)


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None
