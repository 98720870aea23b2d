"""The chain: waveform -> mel -> importance -> warp to t frames -> classifier.

A card's `variant` puts another front end or another reduction into it, or switches a part of DiffRes off.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.nn.classifier import Scores, build_classifier
from diffres_cli.nn.frontends import build_front_end
from diffres_cli.nn.frontends.windowed import WindowedSpectrum
from diffres_cli.nn.importance import ImportanceNetwork, rescale
from diffres_cli.nn.reductions import ConvolutionBlocks, diffres_features, pooled
from diffres_cli.nn.warp import merge_mean, overlaps, resolution_encoding


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
    """A tagger with a run-time frame rate: t is an argument of `forward`, never of the constructor.

    Its parts: `front_end`, `importance` (DiffRes alone), `convolutions` (ConvAvgPool alone), `backbone`.
    """

    importance: ImportanceNetwork | None
    convolutions: ConvolutionBlocks | None

    def __init__(self, card: ModelCard) -> None:
        super().__init__()
        self.card = card
        variant, bins = card.variant, card.mel.mel_bins
        self.front_end = build_front_end(variant.front_end, card.mel)
        merges = variant.reduction == "diffres"
        self.importance = ImportanceNetwork(bins, variant.dilation) if merges else None
        convolved = variant.reduction == "conv-average-pool"
        self.convolutions = ConvolutionBlocks(bins) if convolved else None
        self.backbone = build_classifier(card.architecture, len(card.classes), card.width)

    def forward(self, waveform: Tensor, output_frames: int, lengths: Tensor | None = None) -> NetworkOutput:
        """Classify a batch at `output_frames` output frames a clip.

        Args:
            waveform: [B, N], mono at the card's sample rate, zero-padded to the longest clip.
            output_frames: t, at most T. lengths: [B], samples that are sound; None: all of them. Frames that
                are only padding get no importance, and a clip fills its share of the rows.
        """
        power = self.spectrogram(waveform, output_frames)
        if not self.changes_hop:
            return self.from_spectrogram(power, output_frames, lengths)
        mel: Tensor = self.front_end(waveform)  # which a change of hop does not look at
        return self.from_spectrogram(power, output_frames, lengths, mel.shape[2])._replace(mel=mel)

    @property
    def changes_hop(self) -> bool:
        """Whether every frame rate hears the waveform anew."""
        return self.card.variant.reduction == "hop"

    def spectrogram(self, waveform: Tensor, output_frames: int) -> Tensor:
        """What the reduction reads: waveform [B, N] -> [B, F, T]; [B, F, t] for a change of hop size."""
        if self.changes_hop:
            assert isinstance(self.front_end, WindowedSpectrum)
            return self.front_end.at(waveform, output_frames)
        power: Tensor = self.front_end(waveform)
        return power

    def from_spectrogram(
        self, power: Tensor, output_frames: int, lengths: Tensor | None = None, frames: int | None = None
    ) -> NetworkOutput:
        """The rest of `forward`, from what `spectrogram` gives on.

        Args:
            lengths: [B], samples still. frames: T, where `power` has not as many, after a change of hop.
        """
        mask = self._mask(lengths, power)
        logits = None if self.importance is None else self.importance_logits(power)
        even = power.new_ones(power.shape[0], frames or power.shape[2])
        importance = rescale(even if logits is None else logits.sigmoid(), output_frames, mask)
        merged, features = self.reduce(power, importance, output_frames)
        scores: Scores = self.backbone(features)
        return NetworkOutput(
            probabilities=scores.probabilities,
            framewise=scores.framewise,
            importance=importance.to(power),
            mel=power,
            merged=merged,
            embedding=scores.embedding,
            features=features,
            importance_logits=logits,
            mask=mask,
        )

    def reduce(self, power: Tensor, importance: Tensor, output_frames: int) -> tuple[Tensor, Tensor]:
        """Spectrogram [B, F, T], importance [B, T] -> merged [B, F, t], features for the classifier."""
        variant, log = self.card.variant, self.front_end.log
        if variant.reduction == "diffres":
            return diffres_features(power, importance, output_frames, log, variant)
        where = overlaps(importance, output_frames)
        if self.convolutions is not None:
            merged, seen = merge_mean(power, where), merge_mean(self.convolutions(log(power)), where)
        else:
            merged = pooled(power, where, variant.reduction)
            seen = log(merged)
        return merged, torch.stack([seen, seen, resolution_encoding(where, power.shape[1])], 1)

    def importance_logits(self, power: Tensor) -> Tensor:
        """Spectrogram [B, F, T] -> one logit a frame, [B, T]; of DiffRes alone."""
        # Half precision has too few values between frames that matter and frames that matter a little more.
        with torch.autocast(power.device.type, enabled=False):
            assert self.importance is not None
            logits: Tensor = self.importance(self.front_end.log(power))
        return logits

    def _mask(self, lengths: Tensor | None, power: Tensor) -> Tensor | None:
        # Silence at the end of a clip is the same whatever the hop: its rows are as empty.
        if lengths is None or self.changes_hop:
            return None
        config = self.card.mel
        padded = lengths.to(power.device).clamp_min(config.minimum_samples)
        frames = (padded - int(bool(config.pre_emphasis))) // config.hop + 1
        return torch.arange(power.shape[2], device=power.device) < frames.unsqueeze(1)
