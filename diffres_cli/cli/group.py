"""The commands of the program: named in a table, imported when they are called."""

from __future__ import annotations

from collections import UserDict
from typing import Any, NamedTuple, cast

import typer
from typer.core import TyperGroup

from diffres_cli.cli.config import ConfigurableCommand
from diffres_cli.imports import import_object


class Entry(NamedTuple):
    """A command in the table.

    Attributes:
        target: MODULE:NAME in this package, of a function, or of a Typer app for a group of commands.
        help: the line about it in `diffres --help`. settings: Click's context settings, if any.
    """

    target: str
    help: str
    settings: dict[str, Any] | None = None


COMMANDS = {
    "tag": Entry("tag:tag", "Tag recordings and print their labels."),
    "viz": Entry("viz:viz", "Draw which moments of a recording the model kept."),
    "train": Entry("train:train", "Train a tagger, or resume a run that was stopped."),
    "eval": Entry("evaluate:evaluate", "Measure a model on a dataset, by frame rate."),
    "compare": Entry("compare:compare", "Train and test the cells of a plan, into the paper's tables."),
    "export": Entry("export:export", "Write a checkpoint as one self-contained ONNX graph."),
    "config": Entry(
        "config:config",
        "Show the settings in effect, and where each comes from.",
        {"ignore_unknown_options": True},
    ),
    "data": Entry("data:data_app", "List, download and check datasets."),
    "models": Entry("models:models_app", "List the installed models; get more from a hub."),
}


class LazyCommands(UserDict[str, Any]):
    """Name -> command. Its module is imported when the command is looked up, not when it is listed."""

    def __getitem__(self, name: str) -> Any:
        if isinstance(self.data[name], Entry):
            self.data[name] = _load(name, self.data[name])
        return self.data[name]


class LazyGroup(TyperGroup):
    """The program: a group that lists its commands without importing them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(Any, LazyCommands(COMMANDS))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands in `diffres --help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _load(name: str, entry: Entry) -> Any:
    app: Any = import_object(f"diffres_cli.cli.{entry.target}", object)
    if not isinstance(app, typer.Typer):
        function = app
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, cls=ConfigurableCommand, context_settings=entry.settings)(function)
    command = typer.main.get_command(app)
    command.name, command.short_help = name, entry.help
    return command
