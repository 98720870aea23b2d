"""Entry point: runs a command and turns every failure into one line and an exit code.

Exit codes: 0 all done, 1 some inputs failed, 2 usage, 3 nothing succeeded, 130 interrupted,
141 the output pipe was closed (SIGPIPE).
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from diffres_cli import __version__
from diffres_cli.cli.config import load_settings
from diffres_cli.cli.console import print_message, print_result
from diffres_cli.cli.group import LazyGroup
from diffres_cli.errors import DiffresError, SettingError
from diffres_cli.files import reason
from diffres_cli.imports import import_failure

app = typer.Typer(
    name="diffres",
    cls=LazyGroup,
    help="Tag sounds at any frame rate, and see which moments the model kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DONE, USAGE, UNEXPECTED, INTERRUPTED, BROKEN_PIPE = 0, 2, 3, 130, 141


def _print_version(wanted: bool) -> None:
    if wanted:
        print_result(f"diffres {__version__}\n")
        raise typer.Exit


@app.callback()
def diffres(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Tag sounds at any frame rate, and see which moments the model kept."""
    load_settings(context)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    if "_DIFFRES_COMPLETE" in os.environ:  # set by the shell when Tab is pressed
        app(prog_name="diffres")
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except BaseException as error:
        if "--debug" in arguments and not isinstance(error, (KeyboardInterrupt, BrokenPipeError, SystemExit)):
            from traceback import print_exc

            print_exc()
        message, code = _explain(error, arguments)
        if message:
            print_message(message)
        return code


def _invoke(arguments: list[str]) -> int:
    # Not by calling `app`: that turns interrupts and closed pipes into exit codes of its own.
    command = typer.main.get_command(app)
    try:
        with command.make_context("diffres", list(arguments)) as context:
            code = command.invoke(context)
    except typer.Exit as end:
        code = end.exit_code
    return code if isinstance(code, int) else DONE


def _explain(error: BaseException, arguments: list[str]) -> tuple[str, int]:
    """What went wrong, in one line, "" for nothing to report, and the exit code."""
    if _is_interrupt(error):
        return "interrupted", INTERRUPTED
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else UNEXPECTED
    error = import_failure(error) or error
    if isinstance(error, SettingError):
        return error.describe(f"--{error.setting.replace('_', '-')}"), error.exit_code
    if isinstance(error, DiffresError):
        return str(error), error.exit_code
    if hasattr(error, "format_message"):  # the parser's own: whichever package its classes live in
        return _explain_usage(error, arguments), USAGE
    if isinstance(error, MemoryError):
        return "out of memory: try a shorter --window", UNEXPECTED
    if isinstance(error, BrokenPipeError):
        return "", BROKEN_PIPE
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {reason(error)} (--debug shows where)", UNEXPECTED
    return f"unexpected {type(error).__name__}: {error} (--debug shows where)", UNEXPECTED


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused an error: a library interrupted while it is imported raises ImportError."""
    while error is not None and not isinstance(error, (KeyboardInterrupt, typer.Abort)):
        error = error.__cause__ or error.__context__
    return error is not None


def _explain_usage(error: BaseException, arguments: list[str]) -> str:
    message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context else message, file=sys.stderr)
        return ""
    dashed = next((word for word in arguments if word[:1] == "-" != word and os.path.lexists(word)), None)
    if dashed:
        return f"{message} (for the file {dashed}, write ./{dashed})"
    command = context.command_path if context else " ".join(["diffres", *arguments[:1]])
    return f"{message} (see {command} --help)"
