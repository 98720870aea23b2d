"""The hub library's own voice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR


@contextmanager
def quiet_library() -> Iterator[None]:
    """No warnings, since errors of ours repeat them, and progress bars on a terminal only."""
    from huggingface_hub import constants, logging
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    verbosity = logging.get_verbosity()
    shown = sys.stderr.isatty() or constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    change = not shown and not are_progress_bars_disabled()
    logging.set_verbosity(ERROR)
    if change:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if change:
            enable_progress_bars()
