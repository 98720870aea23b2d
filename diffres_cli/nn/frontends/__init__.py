"""Front ends: waveform [B, N] -> [B, F, T], each to be followed by DiffRes or not.

    base.py            what every front end is: waveform [B, N] -> [B, F, T], and its logarithm
    dft.py             frames -> power spectrum, as three small matrix products
    windowed.py        signal -> power spectrum of windows, every hop or at a larger one
    mel.py             mel power
    filters.py         what learned filters share: convolution at audio rate, pooling at the hop
    pcen.py            energy over its own moving average, compressed                (LEAF's sPCEN)
    leaf.py            Gabor filters, Gaussian pooling, sPCEN             (Zeghidour et al. 2021)
    sincnet.py         band-pass filters, max pooling, layer norm    (Ravanelli and Bengio 2018)
    td_filterbanks.py  filters that start as Gabors, fixed pooling, log   (Zeghidour et al. 2018)
    stft.py            the linear power spectrum
    cqt.py             constant Q, in the time domain                        (nnAudio's CQT1992v2)

Kinds and numbers are in `diffres_cli.checkpoint.frontend`.
Learned filters hear silence beyond the signal's ends, as leaf-audio's do; the others a mirror image.
"""

from __future__ import annotations

from diffres_cli.checkpoint.frontend import MelConfig, check_kind
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.cqt import ConstantQ
from diffres_cli.nn.frontends.leaf import Leaf
from diffres_cli.nn.frontends.mel import MelSpectrogram
from diffres_cli.nn.frontends.sincnet import SincNet
from diffres_cli.nn.frontends.stft import LinearSpectrogram
from diffres_cli.nn.frontends.td_filterbanks import TimeDomainFilterbanks

__all__ = ["FrontEnd", "build_front_end"]

_CLASSES: dict[str, type[FrontEnd]] = {
    "mel": MelSpectrogram,
    "leaf": Leaf,
    "sincnet": SincNet,
    "td-filterbanks": TimeDomainFilterbanks,
    "stft": LinearSpectrogram,
    "cqt": ConstantQ,
}


def build_front_end(kind: str, config: MelConfig) -> FrontEnd:
    """The front end of a kind, untrained: one of `melconfig.KINDS`.

    >>> import torch
    >>> from diffres_cli.checkpoint.frontend import FRONT_ENDS
    >>> leaf = build_front_end(*FRONT_ENDS["leaf"])
    >>> leaf.bins, leaf(torch.zeros(2, 16_000)).shape
    (40, torch.Size([2, 40, 101]))

    Raises:
        UsageError: an unknown kind, or numbers that this kind cannot work with.
    """
    check_kind(kind)
    return _CLASSES[kind](config)
