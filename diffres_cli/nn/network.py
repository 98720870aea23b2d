"""The chain: waveform -> spectrogram -> DiffRes -> classifier.

A card's `variant` puts another front end or another reduction into it, or switches a part of DiffRes off.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.parts import REDUCTIONS
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.nn.classifier import Scores, build_backbone
from diffres_cli.nn.conditioning import Conditioning, log_rate
from diffres_cli.nn.diffres import DiffRes, Reduction
from diffres_cli.nn.frontends import build_front_end
from diffres_cli.nn.frontends.windowed import WindowedSpectrum
from diffres_cli.nn.reductions import LargerHop


class NetworkOutput(NamedTuple):
    """Everything one pass computes.

    Shape:
        probabilities: [B, classes]. framewise: [B, t', classes]. importance: [B, T].
        mel: [B, F, T], linear power; what the front end gives where that is another. merged: [B, F, t], the
            same after the reduction. embedding: [B, features].
        features: [B, 3, F, t], what the classifier sees.
        importance_logits: [B, T], before the sigmoid (a penalty on their mean keeps it from saturating); None
            for a reduction that has none.
        mask: [B, T], True where a frame is not padding; None where none is.
    """

    probabilities: Tensor
    framewise: Tensor
    importance: Tensor
    mel: Tensor
    merged: Tensor
    embedding: Tensor
    features: Tensor
    importance_logits: Tensor | None = None
    mask: Tensor | None = None


class DiffResNetwork(nn.Module):
    """A tagger whose frame rate is chosen at run time: `fps` is an argument of `forward`.

    Its parts are `front_end`, `reduction` (DiffRes, or a rival) and `backbone`. Its `state_dict` has the
    names that weights files have: those of the reduction's own parts, "importance.0.conv1.weight".

    Raises:
        UsageError: a part that does not exist, or numbers that its front end cannot work with.
    """

    def __init__(self, card: ModelCard) -> None:
        super().__init__()
        self.card = card
        variant = card.variant
        self.front_end = build_front_end(variant.front_end, card.mel)
        options = {"log": self.front_end.log, **variant.switches}
        self.reduction = REDUCTIONS.build(variant.reduction, Reduction, card.mel.mel_bins, **options)
        self.backbone = build_backbone(card.architecture, len(card.classes), card.width)
        self.conditioning = _conditioning(card, self.backbone)
        self.register_state_dict_post_hook(_drop_prefix)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_add_prefix)  # type: ignore[no-untyped-call]

    def forward(self, waveform: Tensor, fps: float, lengths: Tensor | None = None) -> NetworkOutput:
        """Classify a batch at `fps` output frames per second.

        Args:
            waveform: [B, N], mono at the card's sample rate, zero-padded to the longest clip.
            fps: output frames per second; `output_frames` makes t of it.
            lengths: [B], samples that are sound; None: all of them. Frames that are only padding get no
                importance, and a clip fills its share of the output frames.
        """
        frames = self.card.mel.frames(waveform.shape[1])
        return self.forward_at(waveform, self.output_frames(fps, frames), fps, lengths)

    def forward_at(
        self, waveform: Tensor, output_frames: int, fps: float | Tensor, lengths: Tensor | None = None
    ) -> NetworkOutput:
        """`forward` for an exporter, which has t as a shape and `fps` as a scalar."""
        power = self._spectrogram(waveform, output_frames)
        if not self.changes_hop:
            return self._classify(power, output_frames, fps, lengths, power.shape[2])
        mel: Tensor = self.front_end(waveform)
        return self._classify(power, output_frames, fps, lengths, mel.shape[2])._replace(mel=mel)

    def output_frames(self, fps: float, frames: int) -> int:
        """Output frames t for T input frames at `fps` output frames per second."""
        return output_frames_at(fps, frames, self.card.mel.frame_rate)

    @property
    def changes_hop(self) -> bool:
        """Whether each frame rate analyses the waveform anew."""
        return self.reduction.changes_hop

    def spectrogram(self, waveform: Tensor, fps: float) -> Tensor:
        """The reduction's input: waveform [B, N] -> [B, F, T]; [B, F, t] for a change of hop size."""
        return self._spectrogram(waveform, self.output_frames(fps, self.card.mel.frames(waveform.shape[1])))

    def from_spectrogram(
        self,
        power: Tensor,
        fps: float,
        lengths: Tensor | None = None,
        frames: int | None = None,
        logits: Tensor | None = None,
    ) -> NetworkOutput:
        """The rest of `forward`, from the output of `spectrogram`.

        Args:
            lengths: [B], in samples. frames: T, where a change of hop left `power` with t frames.
            logits: `importance_logits` of the same spectrogram at another rate, which depend on none.
        """
        frames = frames or power.shape[2]
        output_frames = power.shape[2] if self.changes_hop else self.output_frames(fps, frames)
        return self._classify(power, output_frames, fps, lengths, frames, logits)

    def _spectrogram(self, waveform: Tensor, output_frames: int) -> Tensor:
        if self.changes_hop:
            assert isinstance(self.front_end, WindowedSpectrum)
            return self.front_end.at(waveform, output_frames)
        power: Tensor = self.front_end(waveform)
        return power

    def _classify(
        self,
        power: Tensor,
        output_frames: int,
        fps: float | Tensor,
        lengths: Tensor | None,
        frames: int,
        logits: Tensor | None = None,
    ) -> NetworkOutput:
        mask = self._mask(lengths, power)
        if isinstance(self.reduction, LargerHop):
            reduced = self.reduction.reduce(power, output_frames, frames, mask)
        elif isinstance(self.reduction, DiffRes):
            reduced = self.reduction(power, output_frames, mask, logits)
        else:
            reduced = self.reduction(power, output_frames, mask)
        scores = self._scores(reduced.features, fps)
        return NetworkOutput(
            probabilities=scores.probabilities,
            framewise=scores.framewise,
            importance=reduced.importance,
            mel=power,
            merged=reduced.mean,
            embedding=scores.embedding,
            features=reduced.features,
            importance_logits=reduced.importance_logits,
            mask=mask,
        )

    def _scores(self, features: Tensor, fps: float | Tensor) -> Scores:
        if self.conditioning is None:
            scores: Scores = self.backbone(features)
        else:
            scores = self.conditioning(self.backbone, features, log_rate(fps, self.card.mel.frame_rate))
        return scores

    def _mask(self, lengths: Tensor | None, power: Tensor) -> Tensor | None:
        # Silence at the end of a clip is as empty at any hop.
        if lengths is None or self.changes_hop:
            return None
        config = self.card.mel
        padded = lengths.to(power.device).clamp_min(config.minimum_samples)
        frames = (padded - int(bool(config.pre_emphasis))) // config.hop + 1
        return torch.arange(power.shape[2], device=power.device) < frames.unsqueeze(1)


def _conditioning(card: ModelCard, backbone: nn.Module) -> Conditioning | None:
    variant = card.variant
    if variant.conditioning == "nothing":
        return None
    anchors = [float(log_rate(fps, card.mel.frame_rate)) for fps in variant.anchors]
    return Conditioning(backbone, variant.conditioning, anchors)


_PARTS = ("front_end.", "backbone.", "conditioning.", "reduction.")


def _drop_prefix(network: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    """reduction.importance.0 -> importance.0, as weights files have it."""
    own = f"{prefix}reduction."
    for name in [name for name in state if name.startswith(own)]:
        state[prefix + name.removeprefix(own)] = state.pop(name)


def _add_prefix(network: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """importance.0 -> reduction.importance.0, as the modules are nested."""
    for name in [name for name in state if name.startswith(prefix)]:
        rest = name.removeprefix(prefix)
        if not rest.startswith(_PARTS):
            state[f"{prefix}reduction.{rest}"] = state.pop(name)
