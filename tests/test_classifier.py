"""Backbones: sizes as published, any width and any t; the attention head against its loop."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from references import attention_loop
from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.ops.misc import SqueezeExcitation

from diffres_cli.errors import UsageError
from diffres_cli.nn.classifier import AttentionPooling, build_backbone


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def unfilled(architecture: str, width: float = 1.0) -> nn.Module:
    """A classifier of shapes only, made at once."""
    with torch.device("meta"):
        return build_backbone(architecture, 527, width)


@cache
def classifier(architecture: str) -> nn.Module:
    return build_backbone(architecture, 7, width=0.4).eval()


def test_efficientnet_b2_has_13_6_million_parameters() -> None:
    network = unfilled("efficientnet_b2")
    assert parameters(network) == 13_641_342
    assert parameters(network.head) == 2 * 4 * 527 * (1408 + 1) + 4


def test_efficientnet_b0_has_9_4_million_parameters() -> None:
    assert parameters(unfilled("efficientnet_b0")) == 9_408_248


@pytest.mark.parametrize("width", [0.35, 0.4, 1.0, 1.3])
def test_mobilenet_is_torchvisions_at_any_width(width: float) -> None:
    ours = unfilled("mobilenet_v3_large", width).state_dict()
    with torch.device("meta"):
        theirs = mobilenet_v3_large(num_classes=527, width_mult=width).state_dict()
    assert {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in theirs.items()}


def test_mobilenet_of_the_shipped_width_is_as_specified() -> None:
    network = unfilled("mobilenet_v3_large", 0.4)
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert parameters(network) == 983_743
    assert (first.in_channels, first.out_channels) == (3, 8)
    assert network.classifier[0].out_features == 512
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {0.001}


def test_mobilenet_gates_with_a_sigmoid() -> None:
    gates = [m for m in classifier("mobilenet_v3_large").modules() if isinstance(m, SqueezeExcitation)]
    assert len(gates) == 8
    assert all(isinstance(gate.scale_activation, nn.Sigmoid) for gate in gates)


ARCHITECTURES = ["efficientnet_b0", "efficientnet_b2", "mobilenet_v3_large"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("output_frames", [1, 8, 33])
def test_any_number_of_frames_is_classified(architecture: str, output_frames: int) -> None:
    with torch.no_grad():
        scores = classifier(architecture)(torch.randn(2, 3, 64, output_frames))
    assert scores.probabilities.shape == (2, 7)
    assert scores.framewise.shape == (2, -(-output_frames // 32), 7)
    assert scores.embedding.shape[0] == 2
    for probabilities in (scores.probabilities, scores.framewise):
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if output_frames <= 32:  # one column: the whole is its only frame
        torch.testing.assert_close(scores.framewise[:, 0], scores.probabilities)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("length", [1, 5])
def test_attention_head_equals_its_loop(heads: int, length: int) -> None:
    torch.manual_seed(0)
    head = AttentionPooling(features=6, classes=3, heads=heads).double()
    nn.init.normal_(head.mix)
    columns = torch.randn(6, length, dtype=torch.float64)
    state = {name: tensor.numpy() for name, tensor in head.state_dict().items()}
    with torch.no_grad():
        probabilities, framewise = head(columns[None])
    expected, expected_framewise = attention_loop(columns.numpy(), state, heads)
    np.testing.assert_allclose(probabilities[0], expected, atol=1e-12)
    np.testing.assert_allclose(framewise[0], expected_framewise, atol=1e-12)


def test_attention_listens_where_it_is_drawn_to() -> None:
    head = AttentionPooling(features=2, classes=1, heads=1)
    with torch.no_grad():
        head.attention.weight[:] = torch.tensor([[[20.0], [0.0]]])  # feature 0 draws attention
        head.attention.bias[:] = -10.0
        head.scores.weight[:] = torch.tensor([[[0.0], [20.0]]])  # feature 1 is the sound
        head.scores.bias[:] = -10.0
        heard, _ = head(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))
        unheard, _ = head(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    assert heard > 0.99
    assert unheard < 0.01


def test_attention_never_says_more_than_1() -> None:
    torch.manual_seed(0)
    head = AttentionPooling(features=4, classes=64)
    with torch.no_grad():
        head.scores.bias[:] = 40.0  # of which the sigmoid is 1
        head.attention.weight[:] *= 5
        nn.init.normal_(head.mix)
        for length in range(1, 40):
            probabilities, framewise = head(torch.randn(2, 4, length))
            assert probabilities.max() <= 1
            assert framewise.max() <= 1
            assert probabilities.min() > 0.9999


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'resnet50'.*efficientnet_b0, efficientnet_b2, mobilenet"):
        build_backbone("resnet50", 10)


@pytest.mark.parametrize("architecture", ["efficientnet_b0", "mobilenet_v3_large"])
def test_scores_keep_full_precision_under_mixed_precision(architecture: str) -> None:
    network = build_backbone(architecture, 5, 0.2).eval()
    for name, parameter in network.named_parameters():
        if not name.startswith("features"):
            nn.init.normal_(parameter)  # scores that are not all a half
    features = torch.randn(2, 3, 128, 40)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mixed = network(features)
    with torch.no_grad():
        exact = network(features)
    assert {part.dtype for part in mixed} == {torch.float32}
    assert not torch.equal(mixed.embedding, exact.embedding)  # the features are in half precision
    assert (mixed.probabilities - exact.probabilities).abs().max() < 0.02
    assert not torch.equal(mixed.framewise, mixed.framewise.bfloat16().float())  # not rounded to it
