"""Networks conditioned on the frame rate: files, faults, graphs, and the tagger that one was adapted from."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command import invoke
from safetensors.torch import load_file
from torch import Tensor

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.variant import CONDITIONINGS, Variant
from diffres_cli.errors import ModelError
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import anchors_within, load_network, network_from, save_network

ORIGINAL = Path("/work/shared/weights/mn04-original/weights.safetensors")
ANCHORS = (100.0, 50.0, 25.0)
CARD = ModelCard(
    "x", "mobilenet_v3_large", ("a", "b"), ("", ""), PAPER, "MIT", "", width=0.1, minimum_fps=20.0,
    variant=Variant(conditioning="all", anchors=ANCHORS),
)  # fmt: skip


def network_of(card: ModelCard = CARD) -> DiffResNetwork:
    """A network that training left with some dW and with statistics of every anchor."""
    torch.manual_seed(0)
    network = DiffResNetwork(card).eval()
    assert network.conditioning is not None
    with torch.no_grad():
        for delta in network.conditioning.delta.parameters():
            delta.normal_(0, 0.02)
        for buffer in network.conditioning.statistics.buffers():
            buffer.uniform_(0.5, 1.5)
        network.conditioning.batches.fill_(7.0)
    return network


def noise(samples: int = 20_000) -> Tensor:
    return 0.2 * torch.randn(2, samples, generator=torch.Generator().manual_seed(samples))


def scores(network: DiffResNetwork, fps: float) -> Tensor:
    with torch.no_grad():
        return network(noise(), fps).probabilities


# --- what is computed


def test_the_rate_of_the_weights_is_that_of_the_frames() -> None:
    network = network_of()
    assert network.conditioning is not None
    for fps, r in ((100.0, 0.0), (70.0, 0.2572865864148791), (25.0, 1.0), (20.0, 1.1609640474436813)):
        with torch.no_grad():
            output = network(noise(), fps)
            expected = network.conditioning(network.backbone, output.features, r).probabilities
        torch.testing.assert_close(output.probabilities, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("what", CONDITIONINGS[1:])
def test_each_conditioning_depends_on_the_rate_below_full_rate_alone(what: str) -> None:
    card = replace(CARD, variant=Variant(conditioning=what, anchors=ANCHORS))
    network, plain = network_of(card), DiffResNetwork(replace(card, variant=Variant())).eval()
    plain.load_state_dict(network.state_dict(), strict=False)
    assert torch.equal(scores(network, 100.0), scores(plain, 100.0))
    assert not torch.allclose(scores(network, 25.0), scores(plain, 25.0), atol=1e-5)


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the original's weights are not here")
def test_an_adapted_tagger_is_its_original_at_full_rate() -> None:
    """W0 is loaded by the names it has always had; dW, anchors and importance are what they may become."""
    shipped = load_network(find_model("audioset-small", weights=True))
    card = replace(shipped.card, variant=CARD.variant)
    network = network_of(card)
    weights = load_file(ORIGINAL)
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected
    assert {name.partition(".")[0] for name in missing} <= {"conditioning", "reduction", "backbone"}
    assert all("num_batches" in name for name in missing if name.startswith("backbone."))
    waveform = noise(100_000)
    with torch.no_grad():
        spectrogram = network.front_end.log(network.front_end(waveform))
        alone = network.backbone(torch.stack([spectrogram, torch.rand_like(spectrogram), spectrogram], 1))
        adapted = network(waveform, 100.0)
    torch.testing.assert_close(adapted.probabilities, alone.probabilities, atol=1e-6, rtol=0)


# --- files


def test_a_file_keeps_what_depends_on_the_rate(tmp_path: Path) -> None:
    network, path = network_of(), tmp_path / "weights.safetensors"
    save_network(network, path)
    loaded = load_network(path)
    assert loaded.card == network.card
    for fps in (100.0, 60.0, 25.0, 20.0):
        assert torch.equal(scores(loaded, fps), scores(network, fps))
    names = load_file(path).keys()
    assert {
        "conditioning.delta.features.0.0.weight",
        "conditioning.statistics.features.0.1.running_var",
    } <= names


def test_a_model_that_is_not_conditioned_has_the_names_it_always_had() -> None:
    plain = DiffResNetwork(replace(CARD, variant=Variant()))
    assert not any(name.startswith("conditioning.") for name in plain.state_dict())
    older = json.loads(plain.card.to_metadata()["variant"])
    del older["conditioning"], older["anchors"]
    metadata = plain.card.to_metadata() | {"variant": json.dumps(older)}
    assert ModelCard.from_metadata(metadata, "x") == plain.card


def refused(state: dict[str, Tensor], card: ModelCard = CARD) -> str:
    with pytest.raises(ModelError) as caught:
        network_from(card, state, "here")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_card_with_other_anchors_than_its_weights_is_refused() -> None:
    state = network_of().state_dict()
    two = replace(CARD, variant=replace(CARD.variant, anchors=(100.0, 25.0)))
    assert "its card has 2 anchors (100, 25 fps), its weights have 3" in refused(state, two)
    assert "do not fit" in refused(state, replace(CARD, variant=Variant()))
    assert "do not fit" in refused(DiffResNetwork(replace(CARD, variant=Variant())).state_dict())


@pytest.mark.parametrize(
    ("batches", "missing"),
    [
        ([0.0, 0.0, 0.0], "100, 50, 25 fps, only for no fps"),
        ([5.0, 1.5, 0.0], "25 fps, only for 100, 50 fps"),
    ],
)
def test_an_anchor_that_was_never_trained_is_refused(batches: list[float], missing: str) -> None:
    state = network_of().state_dict() | {"conditioning.batches": torch.tensor(batches)}
    assert f"it serves 20 to 100 fps, but has no statistics for {missing}" in refused(state)


def test_an_anchor_that_no_rate_needs_may_be_untrained() -> None:
    state = network_of().state_dict() | {"conditioning.batches": torch.tensor([0.0, 3.0, 3.0])}
    network_from(replace(CARD, maximum_fps=50.0, default_fps=40.0), state, "here")


@pytest.mark.parametrize(
    ("low", "high", "needed"),
    [
        (25, 100, ANCHORS),
        (20, 100, ANCHORS),
        (30, 40, (50, 25)),
        (50, 50, (50,)),
        (60, 80, (100, 50)),
        (10, 20, (25,)),
    ],
)
def test_needed_are_the_anchors_in_range_and_their_neighbours(low: float, high: float, needed: Any) -> None:
    card = replace(CARD, minimum_fps=low, maximum_fps=high)
    assert anchors_within(card) == list(needed)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"conditioning": "everything"}, "none of nothing, statistics, affine, light, all"),
        ({"conditioning": "nothing"}, "without a conditioning"),
        ({"anchors": []}, "must be 1 to 16 frame rates, the highest first"),
        ({"anchors": [25.0, 50.0]}, "the highest first"),
        ({"anchors": [50.0, 50.0]}, "the highest first"),
        ({"anchors": [50.0, -1.0]}, "the highest first"),
        ({"anchors": [float("nan")]}, "the highest first"),
        ({"anchors": ["50"]}, "the highest first"),
        ({"anchors": 50}, "the highest first"),
        ({"anchors": [160.0, 25.0]}, "at most the front end's rate (100)"),
        ({"anchors": [float(100 - i) for i in range(17)]}, "1 to 16"),
    ],
    ids=str,
)
def test_anchors_that_make_no_sense_are_refused(changes: dict[str, Any], named: str) -> None:
    variant = json.dumps(asdict(CARD.variant) | changes)
    with pytest.raises(ModelError, match="damaged model metadata") as caught:
        ModelCard.from_metadata(CARD.to_metadata() | {"variant": variant}, "here")
    assert named in str(caught.value)


def test_the_card_says_what_depends_on_the_rate() -> None:
    assert str(CARD.variant) == "DiffRes (conditioning all at 100, 50, 25 fps)"
    assert str(Variant(conditioning="all", anchors=ANCHORS)) in str(CARD.variant)


def test_a_rate_outside_the_range_is_one_line(tmp_path: Path) -> None:
    save_network(network_of(), tmp_path / "weights.safetensors")
    result = invoke("tag", "examples/rain.ogg", "-m", str(tmp_path / "weights.safetensors"), "--fps", "15")
    assert result.code != 0
    assert "serves 20 to 100 frames per second" in result.err
