"""Network -> one self-contained ONNX graph: waveform + slots in, everything out.

t must be a *shape* for the exporter (a value gives "Could not guard on data-dependent expression"),
so the graph has a second input `slots`, float32 [t], of which only the length is read.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.errors import ModelError
from diffres_cli.files import write_atomically
from diffres_cli.inference.runtime import OUTPUTS
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.nn.network import DiffResNetwork

TOLERANCE = 1e-4


class _Graph(nn.Module):
    """The exported signature."""

    def __init__(self, network: DiffResNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: Tensor, slots: Tensor) -> tuple[Tensor, ...]:
        output = self.network.forward_at(waveform, slots.shape[0], self.network.card.default_fps)
        return tuple(getattr(output, name) for name in OUTPUTS)


def export_onnx(network: DiffResNetwork, path: Path) -> float:
    """Write `network` to `path` as ONNX (opset 18) with its card as metadata.

    Inputs: waveform float32 [batch, samples], slots float32 [t]. Outputs: see `NetworkOutput`.

    Returns:
        The largest difference between torch and ONNX Runtime that was found.

    Raises:
        ModelError: they differ by more than 1e-4 somewhere; nothing is written then.
        OutputError: the file cannot be written.
    """
    graph, difference = checked_onnx(network)
    write_atomically(path, graph)
    return difference


def checked_onnx(network: DiffResNetwork) -> tuple[bytes, float]:
    """The serialised graph, and the largest difference between torch and ONNX Runtime that was found.

    Raises:
        ModelError: they differ by more than 1e-4 somewhere.
    """
    network = network.eval()
    graph = to_onnx_bytes(network)
    difference = largest_difference(network, graph)
    if not difference <= TOLERANCE:
        found = f"differ by {difference:.1e} (allowed {TOLERANCE:.0e})"
        if math.isinf(difference):
            found = "differ in shape, or compute what is not a finite number, as damaged weights do"
        raise ModelError(f"export refused: ONNX Runtime and torch {found}; nothing was written")
    return graph, difference


def to_onnx_bytes(network: DiffResNetwork) -> bytes:
    """The serialised graph, unchecked."""
    rate = network.card.sample_rate
    program = _export(_Graph(network), torch.zeros(2, rate), torch.zeros(50))
    _clean(program.model, network.card)
    buffer = io.BytesIO()
    program.save(buffer)
    return buffer.getvalue()


def largest_difference(network: DiffResNetwork, graph: bytes) -> float:
    """Largest difference between torch and ONNX Runtime over awkward lengths, rates and batch sizes.

    Scores and importance are compared as they are, the mel spectrogram after the logarithm the classifier
    sees, merged spectrogram and features in shares of their largest; a NaN counts as infinite.
    """
    from diffres_cli.inference.ort import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return max(_difference(network, session, *case) for case in _awkward_cases(network.card))


def _export(graph: _Graph, waveform: Tensor, slots: Tensor) -> Any:
    """torch.onnx.export without its running commentary on standard output."""
    # Captured here rather than by torch.onnx, whose stricter settings refuse the padding's maximum.
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {"waveform": {0: dynamic, 1: dynamic}, "slots": {0: dynamic}}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        captured = torch.export.export(graph, (waveform, slots), dynamic_shapes=shapes)
        return torch.onnx.export(
            captured,
            (waveform, slots),
            dynamo=True,
            opset_version=18,
            input_names=["waveform", "slots"],
            output_names=list(OUTPUTS),
            verbose=False,
        )


def _clean(model: Any, card: ModelCard) -> None:
    """Our metadata in; out with the exporter's stack traces, which name this machine's files."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    model.metadata_props.clear()
    model.metadata_props.update(card.to_metadata())
    model.producer_name = "diffres"


def _awkward_cases(card: ModelCard) -> list[tuple[int, int, float]]:
    """(batch, samples, fps): around the hop and the minimum length, odd lengths, the rates' ends."""
    hop, rate, least = card.mel.hop, card.sample_rate, card.mel.minimum_samples
    lengths = [2, hop - 1, least - 1, least, least + 1, rate + hop // 2, 3 * rate + 17, 10 * rate]
    rates = [card.minimum_fps, card.default_fps, card.maximum_fps]
    return [(1 + i % 3, max(2, n), rates[i % 3]) for i, n in enumerate(lengths)] + [
        (1, 3 * rate + 1, fps) for fps in rates
    ]


def _difference(network: DiffResNetwork, session: Any, batch: int, samples: int, fps: float) -> float:
    waveform = _test_signal(batch, samples)
    frames = network.card.mel.frames(samples)
    output_frames = output_frames_at(fps, frames, network.card.mel.frame_rate)
    with torch.no_grad():
        expected = network(torch.from_numpy(waveform), fps)
    got = session.run(list(OUTPUTS), {"waveform": waveform, "slots": np.zeros(output_frames, np.float32)})
    return max(
        _worst(name, getattr(expected, name), out, network) for name, out in zip(OUTPUTS, got, strict=True)
    )


def _worst(name: str, expected: Tensor, got: Any, network: DiffResNetwork) -> float:
    actual = torch.from_numpy(got)
    if actual.shape != expected.shape:
        return float("inf")
    if name == "mel":
        expected, actual = network.front_end.log(expected), network.front_end.log(actual)
    if name == "merged":  # a millionth of a loud frame in a silent row is no disagreement
        expected, actual = expected / expected.max(), actual / expected.max()
    if name == "embedding":  # features have no unit: large ones differ by more
        largest = expected.abs().max().clamp_min(1)
        expected, actual = expected / largest, actual / largest
    return float((expected - actual).abs().max().nan_to_num(float("inf")))


def _test_signal(batch: int, samples: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise bursts between silences: uneven importance, and frames without any power."""
    noise = np.random.default_rng(samples).normal(0, 0.2, (batch, samples))
    gate = np.sin(np.arange(samples) / 3000.0 + np.arange(batch)[:, None]) > 0
    return (noise * gate).astype(np.float32)
