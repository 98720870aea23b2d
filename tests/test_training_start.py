"""What a run takes from the model it starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.variant import PAPER_VARIANT
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
    assert variant.conditioning is not None
    variant.conditioning.batches.fill_(1.0)  # as after training
    save_network(variant, tmp_path / "variant.safetensors")
    fields = inherited_fields(str(tmp_path / "variant.safetensors"), "all")
    again = Recipe().changed(fields, "test")
    assert (again.model.mel, again.variant) == (variant.card.mel, variant.card.variant)


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


def conditioned(tmp_path: Path, anchors: list[float]) -> DiffResNetwork:
    """A model on disk that depends on the frame rate, as a run left it."""
    network = started(conditioning="all", anchors=anchors, front_end=MODEL)
    assert network.conditioning is not None
    with torch.no_grad():
        for values in (*network.conditioning.delta.parameters(), *network.conditioning.buffers()):
            values.uniform_(0.5, 1.5)
    save_network(network, tmp_path / "conditioned.safetensors")
    return network


def test_every_rate_starts_from_the_statistics_of_a_plain_model(source: dict[str, Tensor]) -> None:
    network = started(conditioning="statistics", front_end=MODEL)
    assert network.conditioning is not None
    assert network.card.variant.anchors == (100.0, 50.0, 25.0)
    found = dict(network.conditioning.statistics.named_buffers())
    assert found
    assert all(torch.equal(each, source[f"backbone.{name}"].expand(2, -1)) for name, each in found.items())


def test_what_depends_on_the_rate_is_taken_and_batches_are_counted_anew(tmp_path: Path) -> None:
    model = conditioned(tmp_path, [100.0, 40.0])
    init = str(tmp_path / "conditioned.safetensors")
    fields = inherited_fields(init, "all")
    assert (fields["model.conditioning"], fields["model.anchors"]) == ("all", (100.0, 40.0))
    for transfer in ("all", "backbone"):
        network = started(
            init=init, conditioning="all", anchors=[100.0, 40.0], transfer=transfer, front_end=MODEL
        )
        held, state = network.state_dict(), model.state_dict()
        names = {name for name in held if name.startswith("conditioning.")} - {"conditioning.batches"}
        assert all(torch.equal(held[name], state[name]) for name in names)
        assert network.conditioning is not None
        assert network.conditioning.batches.tolist() == [0.0, 0.0]


def test_other_anchors_start_from_full_rate(tmp_path: Path) -> None:
    model = conditioned(tmp_path, [100.0, 40.0])
    init = str(tmp_path / "conditioned.safetensors")
    network = started(init=init, conditioning="all", anchors=[100.0, 30.0], front_end=MODEL)
    assert network.conditioning is not None
    assert model.conditioning is not None
    own = dict(network.backbone.named_buffers())
    for name, each in network.conditioning.statistics.named_buffers():
        assert torch.equal(each, own[name].expand(1, -1))
    for one, other in zip(
        network.conditioning.delta.parameters(), model.conditioning.delta.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_a_network_for_one_rate_depends_on_none() -> None:
    recipe = Recipe().changed(
        {"model.conditioning": "all", "rate.minimum": 40.0, "rate.maximum": 40.0}, "test"
    )
    assert (recipe.variant.conditioning, recipe.variant.anchors) == ("nothing", ())


def test_a_model_that_does_not_depend_on_the_rate_leaves_it_to_the_recipe(tmp_path: Path) -> None:
    plain = DiffResNetwork(replace(load_network(find_model(MODEL, weights=True)).card, variant=PAPER_VARIANT))
    save_network(plain, tmp_path / "plain.safetensors")
    fields = inherited_fields(str(tmp_path / "plain.safetensors"), "all")
    assert not {"model.conditioning", "model.anchors"} & fields.keys()
