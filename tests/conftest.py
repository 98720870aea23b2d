"""For all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hub_server import Hub

# A runner started in the background by a shell ignores Ctrl-C, and its children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Torch's threads fight over the cores with ONNX Runtime's and with whatever else runs: one is faster here.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where the hub's models go, empty."""
    return tmp_path / "home" / "hub"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback; see `hub_cache.served`."""
    from hub_cache import served  # loads the HTTP library, which few tests need

    yield from served(cache, monkeypatch)
