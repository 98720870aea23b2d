"""DiffRes between any spectrogram and any classifier, as the paper puts it together.

"Learning the Spectrogram Temporal Resolution for Audio Classification", Liu et al., 2022 (arXiv 2210.01719).

    paper                                        here
    X        spectrogram, F x T                  power [B, F, T]
    t        output frames                       output_frames, an argument of each call
    delta    1 - t / T                           1 - output_frames / T
    H_phi    importance network (Table 6)        DiffRes.importance: log power -> one logit a frame
    s        importance (Eq. 3)                  rescale: [B, T], 0 <= s <= 1, sum t
    rho_s    activeness (Eq. 4)                  DiffResOutput.activeness
    W        warp matrix (Eq. 5, Algorithm 1)    overlaps: its non-zero entries
    O        merged frames (Eq. 6)               merge_mean, merge_max: [B, F, t]
    E'       resolution encoding (section 3.3)   resolution_encoding: [B, F, t]
    L_guide  guide loss (Eq. 7)                  DiffResOutput.guide_loss

Another way from T frames to t is a `Reduction` too: a class in a file of its own, and a line in `REDUCTIONS`
of `diffres_cli.checkpoint.parts`. So is another importance network: any nn.Module(bins, dilation) from log
power [B, F, T] to logits [B, T], by name or as `importance="my_package:MyNet"`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.parts import IMPORTANCE_NETWORKS
from diffres_cli.errors import UsageError
from diffres_cli.nn.importance import rescale
from diffres_cli.nn.objectives import activeness, empty_frames, guide_loss
from diffres_cli.nn.warp import merge_max, merge_mean, overlaps, resolution_encoding

Log = Callable[[Tensor], Tensor]


def log_power(power: Tensor) -> Tensor:
    """(ln(power + 1e-5) + 4.5) / 5, about -1 to 1 for speech and music; any shape."""
    return ((power + 1e-5).log() + 4.5) / 5.0


class DiffResOutput(NamedTuple):
    """What DiffRes makes of a batch of spectrograms.

    Shape:
        features: [B, 3, F, t], for the classifier: log mean, log maximum, resolution encoding.
        mean, maximum: [B, F, t], merged power. encoding: [B, F, t], where each output frame came from.
        importance: [B, T], in [0, 1], each row summing to t.
        power: [B, F, T], the input. importance_logits: [B, T], before the sigmoid, or None for a reduction
            that learns no importance. mask: [B, T], True where a frame is not padding; None: no padding.
    """

    features: Tensor
    mean: Tensor
    maximum: Tensor
    encoding: Tensor
    importance: Tensor
    power: Tensor
    importance_logits: Tensor | None = None
    mask: Tensor | None = None

    @property
    def empty(self) -> Tensor:
        """Frames without sound, [B, T] bool: root mean power below 1e-4, or 50 dB under the loudest."""
        return empty_frames(self.power.mean(1).sqrt())

    @property
    def guide_loss(self) -> Tensor:
        """Importance of empty frames (Eq. 7), a scalar to add to the loss."""
        empty = self.empty if self.mask is None else self.empty & self.mask
        return guide_loss(self.importance, empty, self.mean.shape[2])

    @property
    def activeness(self) -> Tensor:
        """How unevenly importance is spread over sounding frames (Eq. 4), [B]; to watch, not to learn."""
        empty = self.empty if self.mask is None else self.empty | ~self.mask
        return activeness(self.importance.detach(), empty, self.mean.shape[2])


class Reduction(nn.Module):
    """Base of all ways from T frames to t: forward(power, output_frames, mask) -> DiffResOutput.

    Attributes:
        changes_hop: `power` has t frames already: the front end analysed the waveform at a larger hop.
    """

    changes_hop = False

    def __init__(self, mel_bins: int = 128, *, log: Log = log_power) -> None:
        super().__init__()
        if not _is_whole(mel_bins) or mel_bins < 1:
            raise UsageError(f"mel_bins is {mel_bins!r}, must be a whole number from 1")
        self.mel_bins, self.log = mel_bins, log

    def forward(self, power: Tensor, output_frames: int, mask: Tensor | None = None) -> DiffResOutput:
        """Power [B, F, T], t, mask [B, T] -> `DiffResOutput`."""
        raise NotImplementedError


class DiffRes(Reduction):
    """Differentiable temporal resolution: T frames -> t, merged by learned importance.

    Args:
        mel_bins: F. importance: a registered name, an import path "my_package:MyNet", or a module.
        dilation: of the importance network; its context is 40 * dilation + 1 frames.
        encoding, maximum, algorithm1: the paper's ablations; False switches a part off.
        log: the compression before the networks. Frames are merged as power, then compressed.

    Raises:
        UsageError: an importance network that does not exist, or mel_bins that is no number from 1.

    >>> import torch
    >>> from torch import nn
    >>> _ = torch.manual_seed(0)
    >>> power, labels = torch.rand(4, 64, 100) ** 4, torch.tensor([0, 1, 0, 1])
    >>> diffres = DiffRes(mel_bins=64)
    >>> cnn = nn.Sequential(
    ...     nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(),
    ...     nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ...     nn.Linear(8, 2))
    >>> optimizer = torch.optim.Adam([*diffres.parameters(), *cnn.parameters()])
    >>> for step in range(5):
    ...     output = diffres(power, output_frames=25)
    ...     loss = nn.functional.cross_entropy(cnn(output.features), labels) + output.guide_loss
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    >>> output.features.shape, output.mean.shape, round(output.importance[0].sum().item(), 3)
    (torch.Size([4, 3, 64, 25]), torch.Size([4, 64, 25]), 25.0)
    """

    def __init__(
        self,
        mel_bins: int = 128,
        *,
        importance: str | nn.Module = "resconv1d",
        dilation: int = 1,
        encoding: bool = True,
        maximum: bool = True,
        algorithm1: bool = True,
        log: Log = log_power,
    ) -> None:
        super().__init__(mel_bins, log=log)
        self.importance = _importance_network(importance, mel_bins, dilation)
        self.encoding, self.maximum, self.algorithm1 = encoding, maximum, algorithm1

    def forward(
        self,
        power: Tensor,
        output_frames: int,
        mask: Tensor | None = None,
        logits: Tensor | None = None,
    ) -> DiffResOutput:
        """Score the frames, then merge them.

        Args:
            power: [B, F, T], not negative, not compressed. output_frames: t, 1 to T.
            mask: [B, T], True where a frame is not padding; padding gets no importance, and a clip fills
                its share of the output frames.
            logits: [B, T], what `logits` made of the same power, where that is known.

        Raises:
            UsageError: a spectrogram of another shape, or in dB (seen on the CPU, with the default `log`);
                t that is no whole number from 1 to T.
        """
        self._check(power, output_frames)
        logits = self.logits(power) if logits is None else logits
        importance = rescale(logits.sigmoid(), output_frames, mask)
        return self.merge(power, importance, output_frames)._replace(importance_logits=logits, mask=mask)

    def logits(self, power: Tensor) -> Tensor:
        """H_phi: spectrogram [B, F, T] -> one logit a frame, [B, T]."""
        # Half precision has too few values between frames that matter and frames that matter a little more.
        with torch.autocast(power.device.type, enabled=False):
            logits: Tensor = self.importance(self.log(power))
        return logits

    def merge(self, power: Tensor, importance: Tensor, output_frames: int) -> DiffResOutput:
        """Merge by importance [B, T] (section 3.3): mean, maximum and resolution encoding."""
        warp = overlaps(importance, output_frames, split=self.algorithm1)
        mean = merge_mean(power, warp)
        maximum = merge_max(power, warp) if self.maximum else mean
        encoded = warp if self.encoding else overlaps(_evened(importance), output_frames)
        encoding = resolution_encoding(encoded, power.shape[1])
        features = torch.stack([self.log(mean), self.log(maximum), encoding], 1)
        return DiffResOutput(features, mean, maximum, encoding, importance.to(power), power)

    def _check(self, power: Tensor, output_frames: Any) -> None:
        if power.ndim != 3 or power.shape[1] != self.mel_bins:
            raise UsageError(
                f"power has shape {tuple(power.shape)}, must be [batch, {self.mel_bins}, frames]"
            )
        if _is_whole(output_frames):
            if not 1 <= output_frames <= power.shape[2]:
                raise UsageError(f"output_frames is {output_frames}, must be 1 to {power.shape[2]}")
        elif not isinstance(output_frames, (torch.SymInt, Tensor)):  # an exporter's
            raise UsageError(f"output_frames is {output_frames!r}, must be a whole number")
        if self.log is log_power and _is_at_hand(power) and not (power >= 0).all():
            raise UsageError("power must be linear, not dB or its logarithm: it has values below 0, or NaN")


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_at_hand(values: Tensor) -> bool:
    """Whether values can be looked at: on a GPU that would wait for it; a tracer has none to look at."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    return values.device.type == "cpu" and not traced


def _importance_network(importance: str | nn.Module, mel_bins: int, dilation: int) -> nn.Module:
    if isinstance(importance, nn.Module):
        return importance
    return IMPORTANCE_NETWORKS.build(importance, nn.Module, mel_bins, dilation)


def _evened(importance: Tensor) -> Tensor:
    """Importance [B, T] shared evenly among the frames that have any."""
    held = (importance > 0).to(importance)
    return held * (importance.sum(1, keepdim=True) / held.sum(1, keepdim=True))
