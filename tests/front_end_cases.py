"""Small front ends of every kind, and signals, for all tests of front ends."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends import FrontEnd, build_front_end

# An odd window that is no multiple of the hop.
TINY = MelConfig(
    sample_rate=8000, window=21, hop=8, fft=64, mel_bins=4, low=300.0, high=3900.0,
    pre_emphasis=0.0, periodic=True, minimum_samples=30,
)  # fmt: skip
EVEN = dataclasses.replace(TINY, window=20, hop=10, pre_emphasis=0.9)  # two hops, exactly
SPARSE = dataclasses.replace(TINY, hop=25)  # longer than a window
CASES = {
    **{f"{kind} {name}": (kind, config)
       for kind in ("leaf", "sincnet", "td-filterbanks")
       for name, config in (("odd", TINY), ("even", EVEN), ("sparse", SPARSE))},
    "stft": ("stft", dataclasses.replace(EVEN, mel_bins=32)),
    "trainable-stft": ("trainable-stft", dataclasses.replace(EVEN, mel_bins=32)),
    "trainable-stft odd": ("trainable-stft", dataclasses.replace(TINY, mel_bins=32)),
    "trainable-stft sparse": ("trainable-stft", dataclasses.replace(SPARSE, mel_bins=32)),
    "cqt": ("cqt", dataclasses.replace(TINY, window=40, low=500.0, high=2000.0)),
    "cqt, every semitone": ("cqt", dataclasses.replace(
        EVEN, window=274, low=500.0, high=1000.0, mel_bins=12, minimum_samples=150)),
}  # fmt: skip


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).normal(0, 0.3, shape))


def trained(kind: str, config: MelConfig) -> FrontEnd:
    """A front end in float64 whose parameters have moved from where they start."""
    front_end = build_front_end(kind, config).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in front_end.parameters():
            factor = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.mul_(0.8 + 0.4 * factor)
    return front_end


def exported(module: nn.Module, *example: Tensor) -> onnxruntime.InferenceSession:
    """The module as an ONNX graph for inputs of any size."""
    dynamic = torch.export.Dim.DYNAMIC
    shapes = tuple(dict.fromkeys(range(each.ndim), dynamic) for each in example)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        captured = torch.export.export(module, example, dynamic_shapes=shapes)
        torch.onnx.export(captured, opset_version=18, dynamo=True, optimize=False, verbose=False).save(buffer)
    return onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, *inputs: Tensor) -> Tensor:
    """Its first output."""
    names = [each.name for each in session.get_inputs()]
    feed = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
    return torch.from_numpy(session.run(None, feed)[0])
