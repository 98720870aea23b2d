"""Where datasets and their decoded waveforms lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def data_home() -> Path:
    """$DIFFRES_DATA, else $XDG_CACHE_HOME/diffres, else ~/.cache/diffres."""
    chosen = os.environ.get("DIFFRES_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is invalid, and to be ignored, by the XDG base directory specification.
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "diffres"


def data_folder(name: str) -> Path:
    """Where the dataset of this name is kept: its folder in `data_home`."""
    return data_home() / name


def cache_folder() -> Path:
    """Where decoded waveforms are kept."""
    return data_home() / "waveforms"
