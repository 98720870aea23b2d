"""The `diffres` program, also as `python -m diffres_cli`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        _occupy_standard_streams()
        _leave_by_exception()
        from diffres_cli.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before `run` could take care of it
        print("diffres: interrupted", file=sys.stderr)
        code = INTERRUPTED
    _exit(code)


def _occupy_standard_streams() -> None:
    """Open what was closed: the next file would get its number, and hold what C libraries say there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Standard output is opened for reading, so that results that go nowhere are an error.
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (as Python's own)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _leave_by_exception() -> None:
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
        with suppress(OSError):  # `run` has said so already
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
