"""A backbone whose weights and statistics depend on the frame rate: one network, good at each of its rates.

With r = log(T / t) / log 4, which is 0 at full rate, 1/2 at half of it and 1 at a quarter, a conditioned
layer has the weights W(r) = W0 + r dW. Each BatchNorm has running statistics at several rates, the anchors,
with straight lines between them. Beyond the last anchor its statistics hold, while r dW goes on. At full rate
nothing is left but W0 and its own statistics, so a tagger that was adapted is there what it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from diffres_cli.checkpoint.variant import CONDITIONINGS

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm
Rate: TypeAlias = float | Tensor
_STATISTICS = ("running_mean", "running_var")


def log_rate(fps: Rate, frame_rate: float) -> Rate:
    """r = log(frame_rate / fps) / log 4, at least 0: how far a frame rate lies below the full one.

    >>> [log_rate(fps, 100.0) for fps in (100.0, 50.0, 25.0)]
    [0.0, 0.5, 1.0]
    """
    if isinstance(fps, Tensor):
        return ((frame_rate / fps).log() / math.log(4.0)).clamp_min(0.0)
    return max(0.0, math.log(frame_rate / fps, 4.0))


class Conditioning(nn.Module):
    """What a backbone has beside its own weights to serve several frame rates.

    The backbone keeps its weights W0 and its statistics, which are the first anchor's, under the names it has
    alone. `delta` holds dW, and `statistics` those of the other anchors, [anchors - 1, channels], under these
    names again. At first dW is 0, and all anchors have the backbone's own statistics.

    Args:
        what: of `CONDITIONINGS`. anchors: r of each, ascending.

    Attributes:
        batches: [anchors], how many training batches each anchor learned from, in shares.

    >>> backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    >>> conditioning = Conditioning(backbone, "affine", (0.0, 0.5, 1.0))
    >>> [name for name, _ in conditioning.named_parameters()]
    ['delta.1.weight', 'delta.1.bias']
    >>> conditioning(backbone, torch.zeros(2, 3, 8, 8), 0.25).shape, conditioning.batches.tolist()
    (torch.Size([2, 4, 6, 6]), [0.5, 0.5, 0.0])
    """

    batches: Tensor

    def __init__(self, backbone: nn.Module, what: str, anchors: Sequence[float]) -> None:
        super().__init__()
        self.anchors = tuple(anchors)
        self.delta, self.statistics = nn.Module(), nn.Module()
        parameters = dict(backbone.named_parameters())
        for name in conditioned_names(backbone, what):
            _put(self.delta, name, nn.Parameter(torch.zeros_like(parameters[name])))
        for name, _, values in _statistics(backbone):
            if len(self.anchors) > 1:
                _put(self.statistics, name, values.repeat(len(self.anchors) - 1, 1))
        self.register_buffer("batches", torch.zeros(len(self.anchors)))

    def forward(self, backbone: nn.Module, features: Tensor, r: Rate) -> Any:
        """What the backbone makes of features [B, 3, F, t] at r; in training, its statistics follow."""
        shares, weights = self.shares(r), dict(backbone.named_parameters())
        held = {name: weights[name] + r * delta for name, delta in self.delta.named_parameters()}
        anchored = list(self._anchored(backbone))
        for name, norm, own, others in anchored:
            held[name] = torch.zeros_like(own) if norm.training else shares[0] * own + shares[1:] @ others
        output = functional_call(backbone, held, (features,))
        for name, norm, own, others in anchored:
            if norm.training:
                _follow(own, others, held[name], norm.momentum or 1.0, shares)
        if self.training:
            self.batches += shares
        return output

    def shares(self, r: Rate) -> Tensor:
        """How much each anchor counts at r: straight lines between neighbours, the ends held; [anchors].

        >>> conditioning = Conditioning(nn.Identity(), "statistics", (0.0, 0.5, 1.0))
        >>> [conditioning.shares(r).tolist() for r in (0.0, 0.125, 1.0, 1.16)]
        [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
        """
        anchors = self.batches.new_tensor(self.anchors)
        passed = ((r - anchors[:-1]) / (anchors[1:] - anchors[:-1])).clamp(0.0, 1.0)
        one, zero = anchors.new_ones(1), anchors.new_zeros(1)
        return torch.cat([one, passed]) - torch.cat([passed, zero])

    @torch.no_grad()
    def copy_statistics(self, backbone: nn.Module) -> None:
        """Start all anchors from the backbone's own statistics, once those were loaded."""
        for *_, own, others in self._anchored(backbone):
            others.copy_(own.expand_as(others))

    def _anchored(self, backbone: nn.Module) -> Iterator[tuple[str, BatchNorm, Tensor, Tensor]]:
        """Name, layer, the first anchor's [channels] and the other anchors' [anchors - 1, channels]."""
        others = dict(self.statistics.named_buffers())
        for name, norm, own in _statistics(backbone):
            if name in others:
                yield name, norm, own, others[name]


@torch.no_grad()
def _follow(own: Tensor, others: Tensor, added: Tensor, momentum: float, shares: Tensor) -> None:
    """Let anchors' statistics follow a batch's, of which torch added `momentum` times to zero."""
    batch, steps = added / momentum, momentum * shares
    own.lerp_(batch, steps[0])
    others.lerp_(batch.expand_as(others), steps[1:, None])


def conditioned_names(backbone: nn.Module, what: str) -> Iterator[str]:
    """The parameters of a backbone that depend on the frame rate.

    "affine": weights and biases of BatchNorm; "light": of the depthwise and the first convolutions too;
    "all": everything in `backbone.features`, or in a backbone that has no part of this name. What scores the
    classes then is the same at each rate: conditioned, it learned the training sounds and lost others.

    >>> backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    >>> [list(conditioned_names(backbone, what)) for what in ("statistics", "affine", "light")]
    [[], ['1.weight', '1.bias'], ['0.weight', '0.bias', '1.weight', '1.bias']]
    """
    prefix = "features." if hasattr(backbone, "features") else ""
    modules = [(name, each) for name, each in backbone.named_modules() if f"{name}.".startswith(prefix)]
    first = next((each for _, each in modules if isinstance(each, nn.Conv2d)), None)
    level = CONDITIONINGS.index(what)
    for path, module in modules:
        small = isinstance(module, nn.Conv2d) and (module is first or 1 < module.groups == module.in_channels)
        least = "affine" if isinstance(module, get_args(BatchNorm)) else "light" if small else "all"
        if level >= CONDITIONINGS.index(least):
            yield from (f"{path}.{name}".strip(".") for name, _ in module.named_parameters(recurse=False))


def _statistics(backbone: nn.Module) -> Iterator[tuple[str, BatchNorm, Tensor]]:
    """The running statistics of a backbone's BatchNorm layers, with their names in it."""
    for path, module in backbone.named_modules():
        if isinstance(module, get_args(BatchNorm)) and module.running_mean is not None:
            yield from ((f"{path}.{name}", module, getattr(module, name)) for name in _STATISTICS)


def _put(root: nn.Module, name: str, value: Tensor) -> None:
    """Hold `value` in `root` under a name with dots, as the nested module it comes from does."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    if isinstance(value, nn.Parameter):
        root.register_parameter(last, value)
    else:
        root.register_buffer(last, value)
