"""Parts of a graph cut out of its bytes: the same nodes and numbers as the whole has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx.utils
import onnxruntime
import pytest

from diffres_cli.checkpoint import find_model, read_model
from diffres_cli.graph import Graph

MODEL = read_model(find_model("audioset-small")).data
PARTS = [
    (["waveform"], ["mel", "importance_logits"]),
    (["picture"], ["probabilities", "framewise", "embedding"]),
    (["mel", "importance_logits", "waveform", "slots"], ["picture", "merged"]),
    (["waveform", "slots"], ["probabilities"]),
]


def run(model: bytes, outputs: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(list(outputs), feed)


@pytest.mark.parametrize(("inputs", "outputs"), PARTS)
def test_a_part_is_what_the_onnx_package_cuts(inputs: list[str], outputs: list[str]) -> None:
    part = onnx.load_from_string(Graph(MODEL).part(inputs, outputs))
    onnx.checker.check_model(part, full_check=True)
    expected = onnx.utils.Extractor(onnx.load_from_string(MODEL)).extract_model(inputs, outputs)
    assert list(part.graph.node) == list(expected.graph.node)
    by_name = {tensor.name: tensor for tensor in expected.graph.initializer}
    assert {tensor.name: tensor for tensor in part.graph.initializer} == by_name
    assert [value.name for value in part.graph.input] == inputs
    assert [value.name for value in part.graph.output] == outputs
    assert part.metadata_props == onnx.load_from_string(MODEL).metadata_props


def test_parts_one_after_the_other_are_the_whole() -> None:
    graph = Graph(MODEL)
    waveform = np.random.default_rng(0).normal(0, 0.1, (2, 20_011)).astype(np.float32)
    values = {"waveform": waveform, "slots": np.zeros(31, np.float32)}
    whole = run(MODEL, ["probabilities", "merged"], values)
    for inputs, outputs in (PARTS[0], PARTS[2], PARTS[1]):
        found = run(graph.part(inputs, outputs), outputs, {name: values[name] for name in inputs})
        values |= dict(zip(outputs, found, strict=True))
    # Fused otherwise, a sum may be rounded otherwise.
    np.testing.assert_allclose(values["probabilities"], whole[0], atol=1e-6)
    np.testing.assert_allclose(values["merged"], whole[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "lacking"),
    [
        (["waveform"], ["probabilities"], "slots"),
        (["mel", "slots"], ["probabilities"], "waveform"),
        (["picture", "song"], ["probabilities"], "song"),
        (["waveform"], ["mel", "scores"], "scores"),
    ],
)
def test_what_a_graph_lacks_is_named(inputs: list[str], outputs: list[str], lacking: str) -> None:
    with pytest.raises(ValueError, match=f"the graph lacks {lacking}$"):
        Graph(MODEL).part(inputs, outputs)


@pytest.mark.parametrize(
    "model", [MODEL[:1_000_000], MODEL[:-1], b"\x3a\xff\xff", b"\x0f", "Пение".encode(), MODEL[1:]]
)
def test_bytes_that_are_no_model_are_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="a serialised model"):
        Graph(model)
