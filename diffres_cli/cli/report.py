"""What a run that was stopped says."""

from __future__ import annotations

from diffres_cli.cli.console import print_message

SIGNALLED, INTERRUPTED = 128, 130  # a signal's exit code is 128 and its number


def report_stop(stop: KeyboardInterrupt | SystemExit, summary: object) -> int:
    """Print how far a run came that Ctrl-C or a signal ended, and give its exit code."""
    print_message(f"stopped: {summary}; the same command goes on from here")
    return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)
