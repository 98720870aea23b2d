"""A model in halves against its whole graph: the same numbers, and half the work for a second rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from diffres_cli.checkpoint import ModelFile, find_model, read_model, shipped_models
from diffres_cli.devices import CPU
from diffres_cli.engine import OUTPUTS, SEAMS, Engine, Halves, Whole, open_engine
from diffres_cli.errors import ModelError

TOLERANCE = 1e-4  # what the issue allows; a hundredth of it was seen


def bursts(batch: int, samples: int) -> np.ndarray:
    """Noise between silences, at other times in every clip."""
    noise = np.random.default_rng(samples).normal(0, 0.3, (batch, samples))
    level = np.sin(np.arange(samples) / 3000 + np.arange(batch)[:, None]).clip(0)
    return (noise * level).astype(np.float32)


def without_seams(model: ModelFile) -> ModelFile:
    """The same graph under other names inside, as it was before there were seams."""
    graph = onnx.load_from_string(model.data)
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = f"old_{name}" if name in SEAMS else name
    return ModelFile(model.path, graph.SerializeToString())


@pytest.fixture(scope="module", params=sorted(shipped_models()))
def engines(request: pytest.FixtureRequest) -> tuple[Engine, Engine]:
    model = read_model(find_model(request.param))
    return open_engine(model, [CPU], 1), open_engine(without_seams(model), [CPU], 1)


def test_a_graph_with_seams_is_halved_and_another_is_not(engines: tuple[Engine, Engine]) -> None:
    assert [type(engine) for engine in engines] == [Halves, Whole]
    assert engines[0].card == engines[1].card


@pytest.mark.parametrize("share", [0.2, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("seconds", [0.0001, 0.2499, 0.5001, 1.01, 3.3])
def test_halves_are_the_whole(engines: tuple[Engine, Engine], seconds: float, share: float) -> None:
    halves, whole = engines
    waveform = bursts(2, max(2, round(seconds * halves.card.sample_rate)))
    slots = max(1, round(share * halves.card.mel.frames(waveform.shape[1])))
    found, expected = (engine.finish(engine.begin(waveform), slots, OUTPUTS) for engine in (halves, whole))
    assert list(found) == list(OUTPUTS)
    for name in OUTPUTS:
        scale = expected[name].max() if name in ("mel", "merged") else 1.0
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], atol=TOLERANCE * scale, err_msg=name)


def test_only_what_is_asked_for_is_given(engines: tuple[Engine, Engine]) -> None:
    for engine in engines:
        for asked in (["embedding"], ["merged", "probabilities"], ["importance"]):
            found = engine.finish(engine.begin(bursts(1, 20_000)), 20, asked)
            assert list(found) == asked


def test_what_was_begun_serves_every_rate_and_some_clips(engines: tuple[Engine, Engine]) -> None:
    halves, _ = engines
    waveform = bursts(3, 30_000)
    begun = halves.begin(waveform)
    some = {name: values[[2, 0]] for name, values in begun.items()}
    for slots in (20, 90):
        found = halves.finish(some, slots, ["probabilities"])["probabilities"]
        alone = halves.finish(halves.begin(waveform[[2, 0]]), slots, ["probabilities"])["probabilities"]
        np.testing.assert_allclose(found, alone, atol=1e-6)


def test_a_graph_that_lost_a_weight_is_told() -> None:
    model = read_model(find_model("audioset-small"))
    graph = onnx.load_from_string(model.data)
    del graph.graph.initializer[0]
    with pytest.raises(ModelError, match="not a model ONNX Runtime can run"):
        open_engine(ModelFile(Path("lost.onnx"), graph.SerializeToString()), [CPU], 1)
