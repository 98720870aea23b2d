"""What a run takes from the model it starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffres_cli.checkpoint.find import find_model
from diffres_cli.datasets import Clip, Dataset
from diffres_cli.errors import UsageError
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network, save_network
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.training.start import inherited_fields, initial_network

MODEL = "audioset-small"
CLIP = Clip("one", Path("one.wav"), (0,), "train")
DATASET = Dataset("clips", Path(), ("a", "b", "c"), ("a", "b", "c"), False, 1.0, "", "", (CLIP,))


@pytest.fixture(scope="module")
def source() -> dict[str, Tensor]:
    return load_network(find_model(MODEL, weights=True)).state_dict()


def started(**fields: object) -> DiffResNetwork:
    fields = {"architecture": "mobilenet_v3_large", "width": 0.4, "init": MODEL, **fields}
    recipe = Recipe().changed({f"model.{name}": value for name, value in fields.items()}, "test")
    return initial_network(recipe, DATASET, "new")


def taken(network: DiffResNetwork, source: dict[str, Tensor]) -> set[str]:
    """The parts of a network whose every weight is the source's."""
    parts: dict[str, list[bool]] = {}
    for name, value in network.state_dict().items():
        part = name if name.startswith("backbone.classifier") else name.split(".")[0]
        same = name in source and source[name].shape == value.shape and torch.equal(source[name], value)
        parts.setdefault(part, []).append(same)
    return {part for part, same in parts.items() if all(same)}


@pytest.mark.parametrize(
    "fields",
    [{"bins": 64}, {"front_end": "leaf"}, {"reduction": "max-pool"}, {"reduction": "conv-average-pool"}, {}],
    ids=str,
)
def test_a_backbone_serves_any_front_end_and_reduction(
    fields: dict[str, object], source: dict[str, Tensor]
) -> None:
    network = started(transfer="backbone", **fields)
    backbone = {name: value for name, value in network.state_dict().items() if name.startswith("backbone.f")}
    assert backbone
    assert all(torch.equal(value, source[name]) for name, value in backbone.items())
    assert "importance" not in taken(network, source)


def test_another_front_end_is_refused_unless_the_backbone_is_all_that_is_wanted() -> None:
    with pytest.raises(UsageError, match=r"another front end.*model\.transfer=backbone"):
        started(bins=64)
    with pytest.raises(UsageError, match=r"width 0\.5; it is mobilenet_v3_large, width 0\.4"):
        started(transfer="backbone", width=0.5)


def test_a_model_brings_its_fields_along(tmp_path: Path) -> None:
    classifier = {"model.architecture": "mobilenet_v3_large", "model.width": 0.4}
    assert inherited_fields(MODEL, "backbone") == classifier
    whole = inherited_fields(MODEL, "all")
    assert whole.items() >= (classifier | {"model.front_end": MODEL, "model.reduction": "diffres"}).items()
    variant = started(transfer="backbone", reduction="max-pool", hop=5.0, bins=64)
    save_network(variant, tmp_path / "variant.safetensors")
    fields = inherited_fields(str(tmp_path / "variant.safetensors"), "all")
    again = Recipe().changed(fields, "test").model
    assert (again.mel, again.variant) == (variant.card.mel, variant.card.variant)


def test_a_front_end_that_recipes_do_not_know_is_refused(tmp_path: Path) -> None:
    network = load_network(find_model(MODEL, weights=True))
    network.card = replace(network.card, mel=replace(network.card.mel, low=50.0))
    save_network(network, tmp_path / "odd.safetensors")
    with pytest.raises(UsageError, match="its front end is none of paper"):
        inherited_fields(str(tmp_path / "odd.safetensors"), "all")


def test_a_run_starts_from_lite0_and_its_card_says_so() -> None:
    network = started(architecture="efficientnet_b0", width=1.0, init="lite0")
    assert network.card.derived_from.startswith("EfficientNet-Lite0")
    assert inherited_fields("lite0", "all") == {}
