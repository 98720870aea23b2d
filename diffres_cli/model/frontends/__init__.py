"""Front ends: waveform [B, N] -> [B, F, T], each to be followed by DiffRes or not."""

from __future__ import annotations

from diffres_cli.melconfig import MelConfig, check_kind
from diffres_cli.model.frontend import FrontEnd
from diffres_cli.model.mel import MelSpectrogram

__all__ = ["FrontEnd", "build_front_end"]

_CLASSES: dict[str, type[FrontEnd]] = {"mel": MelSpectrogram}


def build_front_end(kind: str, config: MelConfig) -> FrontEnd:
    """The front end of a kind, untrained: one of `melconfig.KINDS`.

    Raises:
        UsageError: an unknown kind, or numbers that this kind cannot work with.
    """
    check_kind(kind)
    return _CLASSES[kind](config)
