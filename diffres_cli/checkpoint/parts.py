"""What a network can be built of. To add a part, write its file and add one line here.

front end           class(config: MelConfig), a `nn.frontends.FrontEnd`: waveform [B, N] -> power [B, F, T]
importance network  class(bins, dilation), an nn.Module: log power [B, F, T] -> logits [B, T]
reduction           class(bins, log=..., **switches), a `nn.diffres.Reduction`: power -> DiffResOutput
backbone            class(classes, width), an nn.Module: features [B, 3, F, t] -> `nn.classifier.Scores`

Names are what recipes and models hold. Each list in help, documentation and checks is read from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.frontend import (
    AUDIOSET_SMALL,
    CQT,
    LEARNED,
    PAPER,
    SINCNET,
    STFT,
    TRAINABLE_STFT,
    MelConfig,
    cqt_faults,
    sinc_bands,
    stft_faults,
)
from diffres_cli.checkpoint.registry import Registry, is_import_path


def _sinc_centres(config: MelConfig) -> Floats:
    bands = sinc_bands(config)
    return (bands[:, 0] + bands[:, 1] / 2).astype(np.float32)


def _dft_centres(config: MelConfig) -> Floats:
    return (np.arange(config.mel_bins) * config.sample_rate / config.fft).astype(np.float32)


class FrontEndSpec(NamedTuple):
    """A front end: its kind as models name it, its usual numbers, its class.

    Attributes:
        frequencies: the centre of each bin in Hz, [F]; of learned filters, where training starts.
        faults: why this kind cannot work with some numbers.
        any_hop: it can analyse the waveform at any hop (`WindowedSpectrum`).
    """

    kind: str
    config: MelConfig
    path: str
    frequencies: Callable[[MelConfig], Floats] = lambda config: config.mel_frequencies
    faults: Callable[[MelConfig], Iterable[str]] = lambda config: ()
    any_hop: bool = False


_NN = "diffres_cli.nn"
_FRONT_ENDS = f"{_NN}.frontends"
# fmt: off
FRONT_ENDS: dict[str, FrontEndSpec] = {
    "paper": FrontEndSpec("mel", PAPER, f"{_FRONT_ENDS}.mel:MelSpectrogram", any_hop=True),
    "audioset-small": FrontEndSpec("mel", AUDIOSET_SMALL, f"{_FRONT_ENDS}.mel:MelSpectrogram", any_hop=True),
    "leaf": FrontEndSpec("leaf", LEARNED, f"{_FRONT_ENDS}.leaf:Leaf"),
    "sincnet": FrontEndSpec("sincnet", SINCNET, f"{_FRONT_ENDS}.sincnet:SincNet", _sinc_centres),
    "td-filterbanks": FrontEndSpec(
        "td-filterbanks", LEARNED, f"{_FRONT_ENDS}.td_filterbanks:TimeDomainFilterbanks"),
    "stft": FrontEndSpec(
        "stft", STFT, f"{_FRONT_ENDS}.stft:LinearSpectrogram", _dft_centres, stft_faults, any_hop=True),
    "trainable-stft": FrontEndSpec(
        "trainable-stft", TRAINABLE_STFT, f"{_FRONT_ENDS}.trainable_stft:TrainableSTFT", _dft_centres,
        stft_faults),
    "cqt": FrontEndSpec(
        "cqt", CQT, f"{_FRONT_ENDS}.cqt:ConstantQ", lambda config: config.pitches.astype(np.float32),
        cqt_faults),
}
"""A recipe's name for a front end -> what it is."""

IMPORTANCE_NETWORKS = Registry("importance network", {
    "resconv1d": f"{_NN}.importance:ImportanceNetwork",
    "resconv1d-novelty": f"{_NN}.importance:NoveltyImportanceNetwork",
})

REDUCTIONS = Registry("reduction", {
    "diffres": f"{_NN}.diffres:DiffRes",
    "hop": f"{_NN}.reductions:LargerHop",
    "frame-picking": f"{_NN}.reductions:FramePicking",
    "average-pool": f"{_NN}.reductions:AveragePool",
    "max-pool": f"{_NN}.reductions:MaxPool",
    "average-max-pool": f"{_NN}.reductions:AverageMaxPool",
    "conv-average-pool": f"{_NN}.reductions:ConvAveragePool",
})

BACKBONES = Registry("architecture", {
    "efficientnet_b0": f"{_NN}.classifier:efficientnet_b0_classifier",
    "efficientnet_b2": f"{_NN}.classifier:efficientnet_b2_classifier",
    "mobilenet_v3_large": f"{_NN}.classifier:MobileNetClassifier",
    "fcn4": f"{_NN}.fcn:FCN4",
})
# fmt: on

FRONT_END_KINDS = Registry("front end", {spec.kind: spec.path for spec in FRONT_ENDS.values()})
"""What a model can have as its front end."""


def front_end_spec(name: str) -> FrontEndSpec:
    """The front end behind a recipe's name; one given by import path has the paper's numbers.

    Raises:
        UsageError: neither a name nor an import path.
    """
    if is_import_path(name):
        return FrontEndSpec(name, PAPER, name)
    if name not in FRONT_ENDS:
        Registry("front end", {name: spec.path for name, spec in FRONT_ENDS.items()}).check(name)
    return FRONT_ENDS[name]


def spec_of_kind(kind: str) -> FrontEndSpec:
    """The front end that models call `kind`.

    Raises:
        UsageError: an unknown kind.
    """
    FRONT_END_KINDS.check(kind)
    own = (spec for spec in FRONT_ENDS.values() if spec.kind == kind)
    return next(own, FrontEndSpec(kind, PAPER, kind))


def frequencies(kind: str, config: MelConfig) -> Floats:
    """Centre of each bin in Hz, [F]; of learned filters, where training starts.

    >>> frequencies("stft", STFT)[:3].tolist(), frequencies("cqt", CQT)[[0, 12, 24]].tolist()
    ([0.0, 31.25, 62.5], [60.0, 120.0, 240.0])

    Raises:
        UsageError: an unknown kind.
    """
    return spec_of_kind(kind).frequencies(config)
