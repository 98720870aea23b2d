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
    trainable_stft.py  the same with trainable Fourier kernels           (Cheuk et al. 2020, nnAudio)
    cqt.py             constant Q, in the time domain                        (nnAudio's CQT1992v2)

Another one is a subclass of `FrontEnd` in a file of its own, and a line in `FRONT_ENDS` of
`diffres_cli.checkpoint.parts`: `trainable_stft.py` is the worked example.
Beyond the signal's ends learned filters see zeros, as leaf-audio's do; the others see a mirror image.
"""

from __future__ import annotations

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.checkpoint.parts import FRONT_END_KINDS, spec_of_kind
from diffres_cli.errors import UsageError
from diffres_cli.nn.frontends.base import FrontEnd

__all__ = ["FrontEnd", "build_front_end"]


def build_front_end(kind: str, config: MelConfig) -> FrontEnd:
    """The front end of a kind, untrained: one of `parts.FRONT_END_KINDS`, or an import path.

    >>> import torch
    >>> from diffres_cli.checkpoint.frontend import LEARNED
    >>> leaf = build_front_end("leaf", LEARNED)
    >>> leaf.bins, leaf(torch.zeros(2, 16_000)).shape
    (40, torch.Size([2, 40, 101]))

    Raises:
        UsageError: an unknown kind, or numbers that this kind cannot work with.
    """
    for fault in spec_of_kind(kind).faults(config):
        raise UsageError(f"front end {kind}: {fault}")
    return FRONT_END_KINDS.build(kind, FrontEnd, config)
