"""Where the commands' settings come from, and `diffres config`, which shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from diffres_cli.cli.console import print_message, print_result, print_table
from diffres_cli.config import (
    FILE_NAME,
    FILE_VARIABLE,
    Config,
    Value,
    check_environment,
    needs_trust,
    read_config,
)
from diffres_cli.errors import DiffresError, SettingError, UsageError

_META = "diffres.config"  # key in `context.meta` of the settings read from files
_DEFAULT_COMMAND = "tag"


class ConfigurableCommand(TyperCommand):
    """A command whose errors name what set the wrong value, and whose options are grouped under headings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command, with the defaults that files state."""
        _set_defaults(ctx)
        with _origin_in_errors(ctx):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options under their headings, those without one last."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            kind = "Arguments" if parameter.param_type_name == "argument" else ""
            heading = getattr(parameter, "rich_help_panel", None) or kind
            if record := parameter.get_help_record(ctx):
                groups.setdefault(heading, []).append(record)
        rest = groups.pop("", [])
        groups["More" if groups.keys() - {"Arguments"} else "Options"] = rest
        width = max(len(name) for records in groups.values() for name, _ in records)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(min(width, 30)), text) for name, text in records])

    def invoke(self, ctx: Any) -> Any:
        """As any command, but an error names what set the wrong value: a flag, a variable, a line of a file.

        Raises:
            UsageError: a discovered file sets what it may not.
        """
        _check_discovered(ctx)
        try:
            return super().invoke(ctx)
        except SettingError as error:
            raise UsageError(_with_origin(error, ctx)) from error
        except DiffresError as error:
            error.args = (_with_origin(error, ctx),)
            raise


def load_settings(context: typer.Context) -> None:
    """Read the user's file, for every command below `context`.

    Raises:
        UsageError: a file that is not right, or a variable that is misspelt.
    """

    def commands() -> dict[str, dict[str, Any]]:  # imports all of them
        return {name: settings_of(command) for name, command in _settable(context.command).items()}

    check_environment(commands)
    context.meta[_META] = read_config(typer.get_app_dir("diffres"), commands)


def given_on_command_line(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given on the command line, and not by a variable, a file or its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def settings_of(command: Any) -> dict[str, Any]:
    """The parameters of a command that variables and files can set too, by the names of their settings."""
    return {_setting(parameter): parameter for parameter in command.params if parameter.envvar}


def config(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND [OPTIONS]]", help="tag, or as typed: viz --fps 25."),
    ] = None,
) -> None:
    """Show the settings of a command, `tag` unless another is named, and where each comes from.

    A flag counts first, then a DIFFRES_* variable, then diffres.toml, then the default. The file is the
    one that DIFFRES_CONFIG names; else the nearest in this folder and those above it, then the user's own.
    """
    words = command or [_DEFAULT_COMMAND]
    root = context.find_root()
    known = _settable(root.command)
    name = next((name for name in known if words[: len(name.split())] == name.split()), None)
    if name is None:
        raise UsageError(f"diffres config {words[0]}: no command with settings; choose {', '.join(known)}")
    files: Config = context.meta[_META]
    below = known[name].context_class(known[name], info_name=name, parent=root)
    rows = [("setting", "value", "from"), *_rows(below, words[len(name.split()) :])]
    held = " and ".join(map(str, files.files)) or f"no {FILE_NAME}"
    print_result(f"diffres {name}, with {held}\n")
    for path in files.ignored:
        print_result(f"{_ignored(path)}\n")
    print_result("\n")
    print_table(*rows)


def _rows(context: Any, arguments: list[str]) -> Iterator[tuple[str, ...]]:
    _set_defaults(context)
    given, _, _ = context.command.make_parser(context).parse_args(arguments)
    for setting, parameter in settings_of(context.command).items():
        with _origin_in_errors(context):
            parameter.handle_parse_result(context, given, [])
        _check_trust(context, setting, parameter)
        value = context.params[parameter.name]
        shown = str(value).lower() if isinstance(value, bool) else "–" if value is None else str(value)
        yield setting, shown, _source(context, parameter)[0]


@contextmanager
def _origin_in_errors(context: Any) -> Iterator[None]:
    """Within this block the parser's error about a value that was not typed names what set it."""
    try:
        yield
    except Exception as error:  # the parser's own, whichever package its classes live in
        parameter, message = getattr(error, "param", None), getattr(error, "message", "")
        origin = parameter and _source(context, parameter)[1]
        if not origin:
            raise
        raise UsageError(f"{origin}: {message.rstrip('.')}") from error


def _source(context: Any, parameter: Any) -> tuple[str, str]:
    """What set a parameter; and the same with the value, for messages, "" for a flag or the default."""
    if value := _in_file(context, parameter):
        return str(value.path), value.origin
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        return parameter.envvar, f"{parameter.envvar}={os.environ.get(parameter.envvar, '')}"
    return "flag" if given_on_command_line(context, parameter.name) else "default", ""


def _in_file(context: Any, parameter: Any) -> Value | None:
    """The value of a file, where neither a flag nor a variable counts before it."""
    source = context.get_parameter_source(parameter.name)
    if source is None or source.name != "DEFAULT_MAP":
        return None
    return _in_files(context).get(_setting(parameter))


def _in_files(context: Any) -> dict[str, Value]:
    """The settings that files state for the command of a context."""
    files: Config | None = context.meta.get(_META)  # none where the shell completes a line
    return files.values.get(context.command_path.partition(" ")[2], {}) if files else {}


def _set_defaults(context: Any) -> None:
    settings = settings_of(context.command)
    context.default_map = {settings[name].name: value.text for name, value in _in_files(context).items()}


def _check_discovered(context: Any) -> None:
    """Raise for what a discovered file may not set. Print which files are used and which are ignored."""
    files: Config = context.meta[_META]
    settings, used = settings_of(context.command), dict[str, Value]()
    if not settings:
        return
    for name, parameter in settings.items():
        _check_trust(context, name, parameter)
        if (value := _in_file(context, parameter)) and value.discovered:
            used[name] = value
    if context.params.get("quiet") and "quiet" not in used:
        return
    for path in files.ignored:
        print_message(_ignored(path))
    for path in dict.fromkeys(value.path for value in used.values()):
        print_message(f"settings from {path}")


def _check_trust(context: Any, setting: str, parameter: Any) -> None:
    value = _in_file(context, parameter)
    if value and value.discovered and needs_trust(setting, value.text):
        own = Path(typer.get_app_dir("diffres")) / FILE_NAME
        raise UsageError(
            f"{value.origin}: not for a file that comes with a folder: give it as an option, as "
            f"{parameter.envvar}, or in your own {own}"
        )


def _ignored(path: Path) -> str:
    return f"{path}: ignored, as it belongs to another user; {FILE_VARIABLE} can name it"


def _with_origin(error: DiffresError, context: Any) -> str:
    """The message with what set the value: --fps, DIFFRES_FPS=200 or a line of a file.

    A message about a model names no setting: it has the model's in front, unless that was typed.
    """
    settings, message = settings_of(context.command), str(error)
    if isinstance(error, SettingError):
        option = error.setting.replace("_", "-")
        origin = _source(context, settings[option])[1] if option in settings else ""
        return f"{origin}: {error.problem}" if origin else error.describe(f"--{option}")
    origin = _source(context, settings["model"])[1] if "model" in settings else ""
    return f"{origin}: {message}" if origin and str(context.params.get("model")) in message else message


def _setting(parameter: Any) -> str:
    """The long name of an option: top-k, for --top-k and -k."""
    longest: str = max(parameter.opts, key=len)
    return longest.lstrip("-")


def _settable(group: Any, above: str = "") -> dict[str, Any]:
    """The commands below a group that have settings, by what is typed for them."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= _settable(command, f"{above}{name} ")
        elif settings_of(command):
            found[above + name] = command
    return found
