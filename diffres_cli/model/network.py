"""The chain: waveform -> mel -> importance -> warp to t frames -> classifier."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from diffres_cli.card import ModelCard
from diffres_cli.model.classifier import Scores, build_classifier
from diffres_cli.model.importance import ImportanceNetwork, rescale
from diffres_cli.model.mel import MelSpectrogram
from diffres_cli.model.warp import merge_max, merge_mean, overlaps, resolution_encoding


class NetworkOutput(NamedTuple):
    """Everything one pass computes.

    Shape:
        probabilities: [B, classes]. framewise: [B, t', classes]. importance: [B, T].
        mel: [B, F, T], linear power. merged: [B, F, t], linear power. embedding: [B, features].
        importance_logits: [B, T], before the sigmoid (a penalty on their mean keeps it from saturating).
        mask: [B, T], True where a frame is not padding; None where none is.
    """

    probabilities: Tensor
    framewise: Tensor
    importance: Tensor
    mel: Tensor
    merged: Tensor
    embedding: Tensor
    importance_logits: Tensor
    mask: Tensor | None = None


class DiffResNetwork(nn.Module):
    """A tagger with a run-time frame rate: t is an argument of `forward`, never of the constructor."""

    def __init__(self, card: ModelCard) -> None:
        super().__init__()
        self.card = card
        self.mel = MelSpectrogram(card.mel)
        self.importance = ImportanceNetwork()
        self.backbone = build_classifier(card.architecture, len(card.classes), card.width)

    def forward(self, waveform: Tensor, slots: int, lengths: Tensor | None = None) -> NetworkOutput:
        """Classify a batch at `slots` output frames a clip.

        Args:
            waveform: [B, N], mono at the card's sample rate, zero-padded to the longest clip.
            slots: t, at most T. lengths: [B], samples that are sound; None: all of them. Frames that
                are only padding get no importance, and a clip fills its share of the rows.
        """
        return self.from_mel(self.mel(waveform), slots, lengths)

    def from_mel(self, mel: Tensor, slots: int, lengths: Tensor | None = None) -> NetworkOutput:
        """The rest of `forward`, from mel power [B, F, T] on; `lengths` are samples still."""
        mask = self._mask(lengths, mel)
        # Half precision has too few values between frames that matter and frames that matter a little more.
        with torch.autocast(mel.device.type, enabled=False):
            logits = self.importance(self.mel.log(mel))
        importance = rescale(logits.sigmoid(), slots, mask)
        merged, scores = self.classify(mel, importance, slots)
        return NetworkOutput(
            probabilities=scores.probabilities,
            framewise=scores.framewise,
            importance=importance.to(mel),
            mel=mel,
            merged=merged,
            embedding=scores.embedding,
            importance_logits=logits,
            mask=mask,
        )

    def classify(self, mel: Tensor, importance: Tensor, slots: int) -> tuple[Tensor, Scores]:
        """Merge and classify: mel power [B, F, T], importance [B, T] -> merged [B, F, t], Scores."""
        where = overlaps(importance, slots)
        merged = merge_mean(mel, where)
        largest = merge_max(mel, where)
        encoding = resolution_encoding(where, mel.shape[1])
        picture = torch.stack([self.mel.log(merged), self.mel.log(largest), encoding], 1)
        scores: Scores = self.backbone(picture)
        return merged, scores

    def _mask(self, lengths: Tensor | None, mel: Tensor) -> Tensor | None:
        if lengths is None:
            return None
        config = self.card.mel
        padded = lengths.to(mel.device).clamp_min(config.minimum_samples)
        frames = (padded - int(bool(config.pre_emphasis))) // config.hop + 1
        return torch.arange(mel.shape[2], device=mel.device) < frames.unsqueeze(1)
