"""Models that compute what is no score: refused with both backends, and never noted as done."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from batch_runs import noted
from command import EXAMPLES, invoke
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.torch import save_file

from diffres_cli.checkpoint.find import find_model
from diffres_cli.errors import ModelError
from diffres_cli.inference.runtime import check_outputs

SIREN = EXAMPLES / "siren.ogg"
BROKEN = {
    "the head": "network.backbone.classifier.3.bias",
    "the importance": "network.reduction.importance.0.conv1.bias",
}


@pytest.fixture(scope="module", params=BROKEN.values(), ids=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shipped model with a NaN among its weights, for each backend."""
    folder = tmp_path_factory.mktemp("broken")
    graph = onnx.load(find_model("audioset-small"))
    (weights,) = (held for held in graph.graph.initializer if held.name == request.param)
    values = numpy_helper.to_array(weights).copy()
    values[1] = np.nan
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(graph, folder / "broken.onnx")

    with safe_open(find_model("audioset-small", weights=True), "pt") as file:
        state, facts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 (no dict)
    state[request.param.removeprefix("network.").removeprefix("reduction.")][1] = torch.nan
    save_file(state, folder / "broken.safetensors", facts)
    return {"onnx": folder / "broken.onnx", "torch": folder / "broken.safetensors"}


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_recording_whose_scores_are_no_numbers_fails(
    broken: dict[str, Path], backend: str, tmp_path: Path
) -> None:
    model = broken[backend]
    result = invoke("tag", SIREN, "-m", model, "--backend", backend, "-f", "jsonl")
    assert (result.code, result.out) == (3, "")
    assert re.search(r"siren\.ogg: broken: (it computes probabilities of nan|.* failed: )", result.complaint)
    picture = invoke("viz", SIREN, "-m", model, "--backend", backend, "-o", tmp_path / "x.png")
    assert (picture.code, picture.out, (tmp_path / "x.png").exists()) == (3, "", False)
    for option in ([], ["--events"], ["--importance", "--embeddings"]):
        folder = invoke("tag", SIREN, "-m", model, "--backend", backend, "-o", tmp_path / "out", *option)
        assert folder.code == 3
        assert noted(tmp_path / "out" / ".diffres") == []
        assert not (tmp_path / "out" / "siren.ogg.json").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.1, -0.1])
@pytest.mark.parametrize("name", ["probabilities", "framewise", "importance", "mel", "merged", "embedding"])
def test_every_output_is_looked_at(name: str, value: float) -> None:
    values = np.full((2, 3), 0.5, np.float32)
    values[1, 2] = value
    if np.isfinite(value) and name in ("mel", "merged", "embedding"):
        assert check_outputs({name: values}, "m")[name].max() == values.max()
        return
    with pytest.raises(ModelError, match=rf"m: it computes {name} of "):
        check_outputs({name: values}, "m")


def test_a_score_that_rounding_took_past_1_is_1() -> None:
    values = np.array([1 + 2e-7, -1e-7, 0.3], np.float32)
    np.testing.assert_array_equal(
        check_outputs({"framewise": values}, "m")["framewise"], np.float32([1, 0, 0.3])
    )
