"""Network -> one self-contained ONNX graph: waveform and frame rate in, everything out."""

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
from diffres_cli.inference.graph import FPS_INPUT, with_fixed_rate
from diffres_cli.inference.runtime import OUTPUTS
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.rategraph import give_rate_input

TOLERANCE = 1e-4


class _Graph(nn.Module):
    """The exported signature: t as the length of `output_frames` [t], until `rategraph` computes it."""

    def __init__(self, network: DiffResNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: Tensor, output_frames: Tensor, fps: Tensor) -> tuple[Tensor, ...]:
        output = self.network.forward_at(waveform, output_frames.shape[0], fps)
        return tuple(getattr(output, name) for name in OUTPUTS)


def export_onnx(network: DiffResNetwork, path: Path) -> float:
    """Write `network` to `path` as ONNX (opset 18) with its card as metadata.

    Inputs: waveform float32 [batch, samples], and fps, a float32 scalar with a default, where the card
    states several rates. Outputs: see `NetworkOutput`.

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
    card = network.card
    example = (torch.zeros(2, card.sample_rate), torch.zeros(50), torch.tensor(card.default_fps))
    program = _export(_Graph(network), *example)
    give_rate_input(program.model.graph, card)
    _clean(program.model, card)
    buffer = io.BytesIO()
    program.save(buffer)
    graph = buffer.getvalue()
    return with_fixed_rate(graph) if card.has_one_rate else graph


def largest_difference(network: DiffResNetwork, graph: bytes) -> float:
    """Largest difference between torch and ONNX Runtime over edge-case lengths, rates and batch sizes.

    Scores and importance are compared as they are, the mel spectrogram after the logarithm the classifier
    sees, merged spectrogram and features in shares of their largest; a NaN counts as infinite.
    """
    cases = _awkward_cases(network.card)
    sessions = {fps: _session(with_fixed_rate(graph, fps)) for fps in {fps for _, _, fps in cases}}
    live = None if network.card.has_one_rate else _session(graph)
    return max(_difference(network, sessions[case[2]], live, *case) for case in cases)


def _session(graph: bytes) -> Any:
    from diffres_cli.inference.ort import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of an input with a default
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _export(graph: _Graph, waveform: Tensor, output_frames: Tensor, fps: Tensor) -> Any:
    """torch.onnx.export without its running commentary on standard output."""
    # Captured here rather than by torch.onnx, whose stricter settings refuse the padding's maximum.
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {"waveform": {0: dynamic, 1: dynamic}, "output_frames": {0: dynamic}, "fps": {}}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        captured = torch.export.export(graph, (waveform, output_frames, fps), dynamic_shapes=shapes)
        return torch.onnx.export(
            captured,
            (waveform, output_frames, fps),
            dynamo=True,
            opset_version=18,
            input_names=["waveform", "output_frames", FPS_INPUT],
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


def _difference(
    network: DiffResNetwork, session: Any, live: Any, batch: int, samples: int, fps: float
) -> float:
    """Of a session that has the rate as a constant, and of one, if any, that takes it."""
    waveform = _test_signal(batch, samples)
    with torch.no_grad():
        expected = network(torch.from_numpy(waveform), fps)
    runs = [session.run(list(OUTPUTS), {"waveform": waveform})]
    if live is not None:
        runs.append(live.run(list(OUTPUTS), {"waveform": waveform, FPS_INPUT: np.array(fps, np.float32)}))
    return max(
        _worst(name, getattr(expected, name), out, network)
        for got in runs
        for name, out in zip(OUTPUTS, got, strict=True)
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
