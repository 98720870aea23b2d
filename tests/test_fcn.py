"""FCN-4 against its definition in loops, for any number of frames, through ONNX."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from front_end_cases import exported, run
from numpy.typing import NDArray
from torch import Tensor, nn

from diffres_cli.nn.classifier import build_backbone

Doubles = NDArray[np.float64]


def settled(width: float = 0.02, classes: int = 3) -> nn.Module:
    """A tiny FCN-4 in evaluation mode whose BatchNorms have seen something."""
    torch.manual_seed(0)
    network = build_backbone("fcn4", classes, width)
    network(torch.randn(4, 3, 40, 130))
    return network.eval()


def block_loop(x: Doubles, state: dict[str, Doubles], i: int) -> Doubles:
    """3 x 3 convolution, BatchNorm, ReLU: [C, F, t] -> [C', F, t]."""
    kernel, bias = state[f"features.{i}.0.weight"], state[f"features.{i}.0.bias"]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = np.zeros((len(kernel), *x.shape[1:]))
    for f, t in np.ndindex(*x.shape[1:]):
        y[:, f, t] = (kernel * padded[:, f : f + 3, t : t + 3]).sum((1, 2, 3)) + bias
    mean, variance, scale, shift = (
        state[f"features.{i}.1.{name}"][:, None, None]
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    return np.maximum((y - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)


def pool_loop(x: Doubles, frequency: int, time: int) -> Doubles:
    """The largest of each block, the last ones cut off."""
    rows, columns = -(-x.shape[1] // frequency), -(-x.shape[2] // time)
    y = np.zeros((len(x), rows, columns))
    for i, j in product(range(rows), range(columns)):
        y[:, i, j] = x[:, i * frequency : (i + 1) * frequency, j * time : (j + 1) * time].max((1, 2))
    return y


@pytest.mark.parametrize(("bins", "frames"), [(16, 64), (13, 70), (8, 5)])
def test_fcn4_is_its_definition(bins: int, frames: int) -> None:
    network = settled()
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}
    features = torch.randn(1, 3, bins, frames)
    x = features[0].double().numpy()
    for i in range(4):
        x = block_loop(x, state, i)
        x = pool_loop(x, 2, 4) if i < 3 else x.max(1)
    with torch.no_grad():
        scores = network(features)
    logits = state["classifier.weight"] @ np.column_stack([x.max(1), x]) + state["classifier.bias"][:, None]
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(scores.embedding[0], x.max(1), atol=1e-4)
    np.testing.assert_allclose(scores.probabilities[0], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(scores.framewise[0].T, expected[:, 1:], atol=1e-5)


def test_fcn4_has_the_published_channels_and_learns() -> None:
    with torch.device("meta"):
        network = build_backbone("fcn4", 50)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [128, 384, 768, 2048]
    small = build_backbone("fcn4", 2, 0.02)
    small(torch.randn(2, 3, 40, 70)).probabilities.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())


def test_it_exports_for_any_number_of_frames() -> None:
    class Folded(nn.Module):
        """Features [B, 3 * 40 * t], for the helper lets every size vary."""

        def __init__(self) -> None:
            super().__init__()
            self.network = settled()

        def forward(self, features: Tensor) -> Tensor:
            scores: Tensor = self.network(features.reshape(features.shape[0], 3, 40, -1)).framewise
            return scores

    module = Folded()
    session = exported(module, torch.randn(2, 3 * 40 * 130))
    for frames in (1, 8, 64, 65, 250):
        features = torch.randn(3, 3 * 40 * frames)
        torch.testing.assert_close(run(session, features), module(features), atol=1e-5, rtol=0)
