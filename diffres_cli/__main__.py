"""The `diffres` program, also as `python -m diffres_cli`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from diffres_cli.errors import DiffresError

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        _open_closed_streams()
        _raise_on_signals()
        code = _load()(sys.argv[1:])
    except KeyboardInterrupt:  # before `run` could take care of it
        print("diffres: interrupted", file=sys.stderr)
        code = INTERRUPTED
    except DiffresError as error:
        print(f"diffres: {error}", file=sys.stderr)
        code = error.exit_code
    _exit(code)


def _load() -> Callable[[list[str]], int]:
    """The command line. Its own packages may be missing, too."""
    from diffres_cli.imports import required, without_gc

    with required(), without_gc():
        from diffres_cli.cli.main import run
    _name_standard_output()
    return run


def _open_closed_streams() -> None:
    """Open the closed ones: the next file would get their number, and the messages of C libraries."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Standard output is opened for reading, so that results that go nowhere are an error.
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (as Python's own)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _name_standard_output() -> None:
    """Name standard output where writing to it fails, also when a library prints."""
    from diffres_cli.files import NamedWriter

    stdout = sys.stdout
    if isinstance(getattr(stdout.buffer, "raw", stdout.buffer), io.FileIO):  # a Windows console is none
        buffer = NamedWriter(io.FileIO(1, "w", closefd=False), "standard output")
        lines = bool(stdout.line_buffering)
        sys.stdout = io.TextIOWrapper(buffer, stdout.encoding, stdout.errors, line_buffering=lines)


def _raise_on_signals() -> None:
    """Let a signal to end be an exception, so that temporary files are removed on the way out."""
    import signal

    def leave(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one would interrupt the tidying up
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP; what nohup ignores stays ignored
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)


def _exit(code: int) -> None:
    """Leave at once. Everything is closed; to free it all piece by piece is a sixth of a short run."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, DiffresError):  # `run` has reported it
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
