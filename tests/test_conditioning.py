"""Backbones conditioned on the frame rate: against plain ones whose weights were mixed by hand."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.variant import CONDITIONINGS
from diffres_cli.nn.classifier import build_backbone
from diffres_cli.nn.conditioning import Conditioning, conditioned_names, log_rate

ANCHORS = (0.0, 0.5, 1.0)
BACKBONES = {"mobilenet_v3_large": 0.1, "efficientnet_b0": 1.0, "fcn4": 0.05}
RATES = (0.0, 0.2, 0.5, 0.9, 1.0, 1.16)
BATCH = 3

backbones = pytest.mark.parametrize("architecture", BACKBONES)


def backbone_of(architecture: str) -> nn.Module:
    """A random backbone that drops nothing and has statistics other than 0 and 1."""
    torch.manual_seed(0)
    backbone = build_backbone(architecture, 5, BACKBONES[architecture]).eval()
    for name, buffer in backbone.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return backbone


def conditioned(backbone: nn.Module, what: str) -> Conditioning:
    """Random dW and random statistics of the anchors."""
    conditioning = Conditioning(backbone, what, ANCHORS).eval()
    with torch.no_grad():
        for delta in conditioning.delta.parameters():
            delta.normal_(0, 0.02)
        for buffer in conditioning.statistics.buffers():
            buffer.uniform_(0.5, 1.5)
    return conditioning


def features(frames: int = 70) -> Tensor:
    return torch.randn(BATCH, 3, 64, frames, generator=torch.Generator().manual_seed(1))


def mixed_by_hand(backbone: nn.Module, conditioning: Conditioning, r: float) -> nn.Module:
    """A plain backbone with W0 + r dW, and statistics on the straight line between the nearest anchors."""
    plain, held = copy.deepcopy(backbone), {}
    for name, value in backbone.state_dict().items():
        held[name] = value.clone()
        delta = conditioning.state_dict().get(f"delta.{name}")
        if delta is not None:
            held[name] = value + r * delta
        others = conditioning.state_dict().get(f"statistics.{name}")
        if others is not None:
            half, quarter = others[0], others[1]
            first = value + (half - value) * r / 0.5
            held[name] = first if r <= 0.5 else half + (quarter - half) * min(r - 0.5, 0.5) / 0.5
    plain.load_state_dict(held)
    return plain


def outputs(scores: object) -> list[Tensor]:
    return list(scores)  # type: ignore[call-overload,no-any-return]


# --- what is computed


@backbones
@pytest.mark.parametrize("r", RATES)
def test_a_conditioned_backbone_is_a_plain_one_mixed_by_hand(architecture: str, r: float) -> None:
    backbone = backbone_of(architecture)
    conditioning = conditioned(backbone, "all")
    with torch.no_grad():
        expected = mixed_by_hand(backbone, conditioning, r)(features())
        got = conditioning(backbone, features(), r)
    for one, other in zip(outputs(got), outputs(expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@backbones
@pytest.mark.parametrize("what", CONDITIONINGS)
def test_at_full_rate_nothing_is_left_but_the_backbone(architecture: str, what: str) -> None:
    backbone = backbone_of(architecture)
    conditioning = conditioned(backbone, what)
    with torch.no_grad():
        for one, other in zip(
            outputs(conditioning(backbone, features(), 0.0)), outputs(backbone(features())), strict=True
        ):
            assert torch.equal(one, other)


@backbones
def test_at_first_every_rate_is_the_backbone(architecture: str) -> None:
    backbone = backbone_of(architecture)
    conditioning = Conditioning(backbone, "all", ANCHORS).eval()
    with torch.no_grad():
        for r in RATES:
            got, expected = conditioning(backbone, features(), r), backbone(features())
            torch.testing.assert_close(got.probabilities, expected.probabilities, atol=1e-5, rtol=0)


def test_the_rate_may_be_a_tensor() -> None:
    backbone = backbone_of("fcn4")
    conditioning = conditioned(backbone, "all")
    with torch.no_grad():
        for r in RATES:
            one, other = (conditioning(backbone, features(), rate) for rate in (r, torch.tensor(r)))
            torch.testing.assert_close(one.probabilities, other.probabilities, atol=1e-6, rtol=0)


def test_one_anchor_leaves_the_statistics_alone() -> None:
    backbone = backbone_of("fcn4")
    conditioning = Conditioning(backbone, "all", (0.0,))
    assert not list(conditioning.statistics.buffers())
    before = backbone.get_buffer("features.0.1.running_mean").clone()
    conditioning(backbone.train(), features(), 1.0)
    assert not torch.equal(backbone.get_buffer("features.0.1.running_mean"), before)
    assert conditioning.batches.tolist() == [1.0]


def test_log_rate_is_0_at_full_rate_and_1_at_a_quarter() -> None:
    expected = {100.0: 0.0, 50.0: 0.5, 25.0: 1.0, 20.0: 1.1609640474436813, 120.0: 0.0}
    for fps, r in expected.items():
        assert log_rate(fps, 100.0) == pytest.approx(r, abs=1e-12)
        assert float(log_rate(torch.tensor(fps), 100.0)) == pytest.approx(r, abs=1e-6)
    assert log_rate(100.0, 100.0) == 0.0


# --- which layers


@backbones
def test_each_conditioning_holds_the_one_before_it(architecture: str) -> None:
    backbone = backbone_of(architecture)
    sets = [set(conditioned_names(backbone, what)) for what in CONDITIONINGS]
    assert all(less <= more for less, more in pairwise(sets))
    nothing, statistics, affine, light, everything = sets
    assert not nothing | statistics
    norms = {name for name, each in backbone.named_modules() if isinstance(each, nn.BatchNorm2d)}
    assert affine == {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
    assert everything == {name for name, _ in backbone.named_parameters() if name.startswith("features.")}
    added = {name.rpartition(".")[0] for name in light - affine}
    assert "features.0.0" in added
    for name in added - {"features.0.0"}:
        convolution = backbone.get_submodule(name)
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.groups == convolution.in_channels > 1


# --- training


def in_training(architecture: str) -> tuple[nn.Module, Conditioning, nn.Module]:
    """A conditioned backbone that normalises by its batches, and the plain one it is at r = 0.2."""
    backbone = backbone_of(architecture)
    conditioning = conditioned(backbone, "all").train()
    plain = mixed_by_hand(backbone, conditioning, 0.2)
    for each in (backbone, plain):
        set_norms(each, training=True)
    return backbone, conditioning, plain


@backbones
def test_a_training_batch_is_normalised_by_itself(architecture: str) -> None:
    backbone, conditioning, plain = in_training(architecture)
    got, expected = conditioning(backbone, features(), 0.2), plain(features())
    torch.testing.assert_close(got.probabilities, expected.probabilities, atol=1e-6, rtol=1e-5)


@backbones
def test_statistics_of_the_neighbours_follow_by_their_shares(architecture: str) -> None:
    """What torch alone does to the statistics of one network happens to each anchor by its share."""
    backbone, conditioning, plain = in_training(architecture)
    momentum = {name: each.momentum or 0.0 for name, each in norms_of(plain).items()}
    before = {**backbone.state_dict(), **conditioning.state_dict()}
    before = {name: value.clone() for name, value in before.items()}
    passed = {name: value.clone() for name, value in plain.state_dict().items()}
    plain(features())
    conditioning(backbone, features(), 0.2)
    for name, value in plain.state_dict().items():
        if "running" not in name:
            continue
        rate = momentum[name.rpartition(".")[0]]
        seen = (value - (1 - rate) * passed[name]) / rate
        own, others = backbone.state_dict()[name], conditioning.state_dict()[f"statistics.{name}"]
        was, were = before[name], before[f"statistics.{name}"]
        torch.testing.assert_close(own, was + 0.6 * rate * (seen - was), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(others[0], were[0] + 0.4 * rate * (seen - were[0]), atol=1e-4, rtol=1e-4)
        assert torch.equal(others[1], were[1])
    torch.testing.assert_close(conditioning.batches, torch.tensor([0.6, 0.4, 0.0]))


def test_frozen_statistics_are_used_and_stay() -> None:
    backbone = backbone_of("mobilenet_v3_large")
    conditioning = conditioned(backbone, "all").train()
    before = {name: value.clone() for name, value in conditioning.statistics.state_dict().items()}
    got = conditioning(backbone, features(), 0.2).probabilities  # its layers are in evaluation mode
    expected = mixed_by_hand(backbone, conditioning, 0.2)(features()).probabilities
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)
    assert all(
        torch.equal(value, before[name]) for name, value in conditioning.statistics.state_dict().items()
    )


@backbones
def test_gradients_reach_both_weights(architecture: str) -> None:
    """By the chain rule dW has r times the gradient of W, and W0 the same as W."""
    backbone = backbone_of(architecture)
    conditioning = conditioned(backbone, "all")
    plain = mixed_by_hand(backbone, conditioning, 0.7)
    for scores in (conditioning(backbone, features(), 0.7), plain(features())):
        scores.probabilities.square().sum().backward()
    own, deltas = dict(backbone.named_parameters()), dict(conditioning.delta.named_parameters())
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        assert_close_as_a_whole(own[name].grad, parameter.grad)
        if name in deltas:
            assert_close_as_a_whole(deltas[name].grad, parameter.grad * 0.7)


def assert_close_as_a_whole(got: Tensor | None, expected: Tensor) -> None:
    """Gradients are sums of many terms in float32: single entries may cancel to nothing."""
    assert got is not None
    assert (got - expected).norm() <= 1e-3 * expected.norm() + 1e-6


def test_statistics_start_from_those_that_were_loaded() -> None:
    backbone = backbone_of("fcn4")
    conditioning = conditioned(backbone, "statistics")
    conditioning.copy_statistics(backbone)
    for name, others in conditioning.statistics.named_buffers():
        assert torch.equal(others, backbone.get_buffer(name).expand(2, -1))


def norms_of(backbone: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {name: each for name, each in backbone.named_modules() if isinstance(each, nn.BatchNorm2d)}


def set_norms(backbone: nn.Module, *, training: bool) -> None:
    for norm in norms_of(backbone).values():
        norm.train(training)
