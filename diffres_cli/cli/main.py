"""The way in and the only way out: commands are run here, and every failure becomes one line and a code.

Exit codes: 0 all done, 1 some inputs failed, 2 usage, 3 nothing succeeded, 130 interrupted,
141 nobody reads the output any more.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from diffres_cli import __version__
from diffres_cli.cli.export import export
from diffres_cli.cli.models import models_app
from diffres_cli.cli.tag import tag
from diffres_cli.cli.viz import viz
from diffres_cli.errors import DiffresError

app = typer.Typer(
    name="diffres",
    help="Tag sounds at any frame rate, and see which moments the model kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(tag)
app.command()(viz)
app.command()(export)
app.add_typer(models_app, name="models")

INTERRUPTED, NO_READER, UNEXPECTED = 130, 141, 3


@app.callback()
def diffres(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """Tag sounds at any frame rate, and see which moments the model kept."""


def main() -> None:
    """The `diffres` program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    if arguments == ["--version"]:
        print(f"diffres {__version__}")
        return 0
    debug = "--debug" in arguments
    try:
        code = app(args=arguments, prog_name="diffres", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BaseException as error:
        if debug and not isinstance(error, (KeyboardInterrupt, BrokenPipeError, SystemExit)):
            raise
        return _explain(error)


def _explain(error: BaseException) -> int:
    """Say on standard error, in one line, what went wrong."""
    if isinstance(error, BrokenPipeError):
        # Python would complain once more when it flushes standard output on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return _say("interrupted", INTERRUPTED)
    if isinstance(error, DiffresError):
        return _say(str(error), error.exit_code)
    if hasattr(error, "format_message"):  # the parser's own: whichever package its classes live in
        return _say_usage(error)
    if isinstance(error, MemoryError):
        return _say("out of memory: try a shorter --window", UNEXPECTED)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else UNEXPECTED
    return _say(f"unexpected {type(error).__name__}: {error} (--debug shows where)", UNEXPECTED)


def _say_usage(error: BaseException) -> int:
    message = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context else message)
        return 2
    command = context.command_path if context else "diffres"
    return _say(f"{message} (see {command} --help)", 2)


def _say(message: str, code: int) -> int:
    line = " ".join(message.split("\n"))
    print(f"diffres: {line}", file=sys.stderr)
    return code
