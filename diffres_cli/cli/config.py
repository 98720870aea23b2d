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
    is_personal,
    read_config,
    variable,
)
from diffres_cli.errors import DiffresError, SettingError, UsageError

_META = "diffres.config"  # where a context and those below it keep what the files say
_DEFAULT_COMMAND = "tag"


class SettableCommand(TyperCommand):
    """A command whose errors name what set the wrong value, and whose options stand under headings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command, but an error names the variable or the line that set the wrong value."""
        with _origins_named(ctx):
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
            UsageError: a file that was found sets what it may not.
        """
        _check_found(ctx)
        try:
            return super().invoke(ctx)
        except SettingError as error:
            raise UsageError(_spelled(error, ctx)) from error
        except DiffresError as error:
            error.args = (_with_model_origin(str(error), ctx),)
            raise


def load(context: typer.Context) -> None:
    """Give every command below `context` the defaults that the user's file states.

    Raises:
        UsageError: a file that is not right, or a variable that is misspelt.
    """
    group: Any = context.command
    check_environment(
        lambda: {name for command in _commands(group).values() for name in settings_of(command)}
    )
    files = read_config(typer.get_app_dir("diffres"), lambda: _tables(group))
    context.meta[_META] = files
    if files.files:  # without one, no other command is imported to look for its settings
        context.default_map = _defaults(group, files)


def _tables(group: Any) -> dict[str, Any]:
    """The commands that may have a table in a file, with their settings."""
    return {name: names for name, command in group.commands.items() if (names := settings_of(command))}


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given on the command line, and not by a variable, a file or its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def settings_of(command: Any) -> dict[str, Any]:
    """The parameters of a command that can be set elsewhere too, by the names of their settings."""
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
    known = {name: each for name, each in _commands(root.command).items() if settings_of(each)}
    name = next((name for name in known if words[: len(name.split())] == name.split()), None)
    if name is None:
        raise UsageError(f"diffres config {words[0]}: no command with settings; choose {', '.join(known)}")
    files: Config = context.meta[_META]
    rows = [("setting", "value", "from"), *_rows(known[name], name, words[len(name.split()) :], root)]
    held = " and ".join(str(file.path) for file in files.files) or f"no {FILE_NAME}"
    print_result(f"diffres {name}, with {held}\n")
    for path in files.ignored:
        print_result(f"{_ignored(path)}\n")
    print_result("\n")
    print_table(*rows)


def _rows(command: Any, name: str, arguments: list[str], root: Any) -> Iterator[tuple[str, ...]]:
    defaults: Any = root.default_map or {}
    for word in name.split():
        defaults = defaults.get(word, {})
    context = command.context_class(command, info_name=word, parent=root, default_map=defaults)
    given, _, _ = command.make_parser(context).parse_args(arguments)
    for setting, parameter in settings_of(command).items():
        with _origins_named(context):
            parameter.handle_parse_result(context, given, [])
        _refuse_personal(context, setting, parameter)
        value = context.params[parameter.name]
        shown = str(value).lower() if isinstance(value, bool) else "–" if value is None else str(value)
        yield setting, shown, _source(context, parameter)


@contextmanager
def _origins_named(context: Any) -> Iterator[None]:
    """Within this block the parser's error about a value that was not typed names what set it."""
    try:
        yield
    except Exception as error:  # the parser's own, whichever package its classes live in
        parameter, message = getattr(error, "param", None), getattr(error, "message", "")
        origin = parameter and _origin(context, parameter)
        if not origin:
            raise
        raise UsageError(f"{origin}: {message.rstrip('.')}") from error


def _source(context: Any, parameter: Any) -> str:
    source = context.get_parameter_source(parameter.name)
    if value := _in_file(context, parameter):
        return str(value.path)
    names = {"COMMANDLINE": "flag", "ENVIRONMENT": variable(_setting(parameter))}
    return names.get(source.name if source else "", "default")


def _origin(context: Any, parameter: Any) -> str | None:
    """What set a parameter, with the value: a variable, or a line of a file. None for anything else."""
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        name = variable(_setting(parameter))
        return f"{name}={os.environ.get(name, '')}"
    value = _in_file(context, parameter)
    return value.origin if value else None


def _in_file(context: Any, parameter: Any) -> Value | None:
    """The value of a file, where neither a flag nor a variable counts before it."""
    files: Config | None = context.meta.get(_META)
    source = context.get_parameter_source(parameter.name)
    if files is None or not parameter.envvar or source is None or source.name != "DEFAULT_MAP":
        return None
    name = _setting(parameter)
    return files.values(context.info_name, [name]).get(name)


def _check_found(context: Any) -> None:
    """Refuse what a file that was found may not set; say once which one holds, and which are ignored."""
    files: Config = context.meta[_META]
    settings, used = settings_of(context.command), dict[str, Value]()
    if not settings:
        return
    for name, parameter in settings.items():
        _refuse_personal(context, name, parameter)
        if (value := _in_file(context, parameter)) and value.found:
            used[name] = value
    if context.params.get("quiet") and "quiet" not in used:
        return
    for path in files.ignored:
        print_message(_ignored(path))
    for path in dict.fromkeys(value.path for value in used.values()):
        print_message(f"settings from {path}")


def _refuse_personal(context: Any, setting: str, parameter: Any) -> None:
    value = _in_file(context, parameter)
    if value and value.found and is_personal(setting, value.text):
        own = Path(typer.get_app_dir("diffres")) / FILE_NAME
        raise UsageError(
            f"{value.origin}: not for a file that comes with a folder: give it as an option, as "
            f"{variable(setting)}, or in your own {own}"
        )


def _ignored(path: Path) -> str:
    return f"{path}: ignored, as it belongs to another user; {FILE_VARIABLE} can name it"


def _spelled(error: SettingError, context: Any) -> str:
    """The message with the setting as it was given: a flag, a variable or a line of a file."""
    option = error.setting.replace("_", "-")
    parameter = settings_of(context.command).get(option)
    origin = _origin(context, parameter) if parameter else None
    return f"{origin}: {error.problem}" if origin else error.describe(f"--{option}")


def _with_model_origin(message: str, context: Any) -> str:
    """A message about a model, which names no setting, with what set the model: DIFFRES_MODEL=name, say."""
    parameter = settings_of(context.command).get("model")
    origin = _origin(context, parameter) if parameter else None
    return f"{origin}: {message}" if origin and str(context.params.get("model")) in message else message


def _setting(parameter: Any) -> str:
    """The long name of an option: top-k, for --top-k and -k."""
    longest: str = max(parameter.opts, key=len)
    return longest.lstrip("-")


def _commands(group: Any, above: str = "") -> dict[str, Any]:
    """All commands below a group, by what is typed for them."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = _commands(command, f"{above}{name} ") if hasattr(command, "commands") else {}
        found |= inner or {above + name: command}
    return found


def _defaults(group: Any, files: Config) -> dict[str, Any]:
    """Click's default map: parameters by name, commands below as maps of their own."""
    defaults: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            defaults[name] = _defaults(command, files)
        else:
            settable = settings_of(command)
            values = files.values(name, settable)
            defaults[name] = {settable[key].name: value.text for key, value in values.items()}
    return defaults
