"""Clips as batches: their waveforms, their targets, and what is random about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffres_cli.datasets import Clip, Dataset
from diffres_cli.datasets.waveforms.cache import WaveformCache
from diffres_cli.recipes.recipe import Rate, Recipe
from diffres_cli.training.augment import gains, mask_edges, mixup_weights, noise_floors
from diffres_cli.training.batches import BatchIndices, Indices, batch_generator
from diffres_cli.training.softlabels import SoftLabels


class TrainBatch(NamedTuple):
    """A batch for training.

    Shape:
        waveform: [B, N]. lengths: [B], samples that are sound. targets: [B, classes], 0 to 1.
        shifts: [B], samples. shares, masks, gains, floors: see `augment`; None: none.
        rates: of the batch, fps, from high to low. seed: for dropout and noise.
        weight: of this process's mean loss; the mean over processes is then that over all clips.
    """

    waveform: Tensor
    lengths: Tensor
    targets: Tensor
    shifts: Tensor
    shares: Tensor
    masks: Tensor
    rates: tuple[float, ...]
    seed: int
    weight: float = 1.0
    gains: Tensor | None = None
    floors: Tensor | None = None


class EvalBatch(NamedTuple):
    """A batch for validation: waveform [B, N], lengths [B], targets [B, classes]."""

    waveform: Tensor
    lengths: Tensor
    targets: Tensor


class Targets:
    """The targets of clips, kept small: labels as indices."""

    def __init__(self, labels: Sequence[tuple[int, ...]], classes: int) -> None:
        self.classes = classes
        self._counts = np.array([len(each) for each in labels], np.int64)
        self._ends = np.cumsum(self._counts)
        self._flat = np.array([label for each in labels for label in each], np.int64)

    def __len__(self) -> int:
        return len(self._counts)

    def rows(self, clips: Indices) -> NDArray[np.float32]:
        """Targets [B, classes] of clips [B]."""
        targets = np.zeros((len(clips), self.classes), np.float32)
        for row, clip in zip(targets, clips, strict=True):
            row[self._flat[self._ends[clip] - self._counts[clip] : self._ends[clip]]] = 1.0
        return targets

    def sampling_weights(self) -> NDArray[np.float64]:
        """How often to draw each clip so that rare classes are learnt: the sum of its 1 / count (PSLA)."""
        counts = np.bincount(self._flat, minlength=self.classes)
        sums = np.zeros(len(self))
        np.add.at(sums, np.repeat(np.arange(len(self)), self._counts), 1.0 / counts[self._flat])
        # A clip without labels is drawn as often as one of the commonest class.
        return sums.clip(sums[sums > 0].min(initial=1.0))


class SoftTargets(Targets):
    """A table of probabilities, kept as round(255 sqrt(p))."""

    def __init__(self, table: NDArray[np.uint8]) -> None:
        super().__init__([tuple(np.flatnonzero(row > 180)) for row in table], table.shape[1])
        self._table = table

    def rows(self, clips: Indices) -> NDArray[np.float32]:
        """Targets [B, classes] of clips [B]."""
        roots: NDArray[np.float32] = self._table[clips].astype(np.float32) / np.float32(255)
        return np.square(roots)


@dataclass(frozen=True)
class ClipSource:
    """One split: indices into a cache, and targets in the same order."""

    cache: WaveformCache
    members: Indices
    targets: Targets

    def __len__(self) -> int:
        return len(self.members)


class TrainBatches(torch.utils.data.Dataset[TrainBatch]):
    """Batches to train on, by `BatchIndices`."""

    def __init__(self, source: ClipSource, recipe: Recipe) -> None:
        self.source, self.recipe = source, recipe
        self.samples = round(recipe.data.seconds * source.cache.sample_rate)

    def __getitem__(self, batch: BatchIndices) -> TrainBatch:
        """The clips of a batch, and what is to be done to them."""
        recipe, total, rows = self.recipe, batch.total, batch.rows
        random = batch_generator(recipe.training.seed, batch)
        rates = batch_rates(random, recipe.rate)
        augment = recipe.augment
        samples = round(self.samples * (1 - augment.shorten * random.random()))
        positions = random.random(total)[rows]
        shifts = ((random.random(total) * 2 - 1) * augment.shift * samples)[rows]
        shares = mixup_weights(random, total, augment)[rows]
        masks = mask_edges(random, total, augment)[rows]
        louder, floors = gains(random, total, augment)[rows], noise_floors(random, total, augment)[rows]
        waveform, lengths = self._waveforms(batch.clips, positions, samples)
        return TrainBatch(
            torch.from_numpy(waveform),
            torch.from_numpy(lengths),
            torch.from_numpy(self.source.targets.rows(batch.clips)),
            torch.from_numpy(shifts.astype(np.int64)),
            torch.from_numpy(shares),
            torch.from_numpy(masks),
            rates,
            int(random.integers(2**62)),
            len(batch.clips) * batch.world_size / total,
            torch.from_numpy(louder) if augment.gain else None,
            torch.from_numpy(floors) if augment.noise else None,
        )

    def _waveforms(
        self, clips: Indices, positions: NDArray[np.float64], samples: int
    ) -> tuple[NDArray[np.float32], Indices]:
        members = self.source.members[clips]
        lengths = self.source.cache.lengths[members]
        offsets = (positions * np.maximum(lengths - samples + 1, 0)).astype(np.int64)
        waveform = self.source.cache.read(members.tolist(), samples, offsets.tolist())
        return waveform, np.minimum(lengths, samples)


class EvalBatches(torch.utils.data.Dataset[EvalBatch]):
    """Batches to validate on: clips in order, each from its beginning, `seconds` at most."""

    def __init__(
        self, source: ClipSource, batch_size: int, seconds: float, rank: int, world_size: int
    ) -> None:
        self.source = source
        self.most = round(seconds * source.cache.sample_rate)
        # Neighbours in length, so that little is padding.
        order = np.argsort(source.cache.lengths[source.members], kind="stable")[rank::world_size]
        self.batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> EvalBatch:
        clips = self.batches[number]
        members = self.source.members[clips]
        lengths = np.minimum(self.source.cache.lengths[members], self.most)
        waveform = self.source.cache.read(members.tolist(), int(lengths.max()))
        targets = self.source.targets.rows(clips)
        return EvalBatch(torch.from_numpy(waveform), torch.from_numpy(lengths), torch.from_numpy(targets))


def batch_rates(random: np.random.Generator, rate: Rate) -> tuple[float, ...]:
    """The frame rates of a batch, from high to low: a random one, or both ends and random ones between."""
    if rate.minimum == rate.maximum:
        return (rate.maximum,)
    between = max(1, rate.per_batch - 2) if rate.per_batch != 2 else 0
    drawn = sorted((random_rate(random, rate.minimum, rate.maximum) for _ in range(between)), reverse=True)
    return tuple(drawn) if rate.per_batch == 1 else (rate.maximum, *drawn, rate.minimum)


def random_rate(random: np.random.Generator, minimum: float, maximum: float) -> float:
    """A frame rate, every octave as likely as another."""
    return float(minimum * (maximum / minimum) ** random.random())


def fingerprint(dataset: Dataset, clips: Sequence[Clip], soft: SoftLabels | None = None) -> str:
    """SHA-256 of what a run uses: classes, clips, labels, sizes and times of their files."""
    digest = hashlib.sha256("\n".join(dataset.classes).encode())
    digest.update(soft.sha256.encode() if soft else b"")
    for clip in clips:
        status = clip.path.stat()
        facts = (clip.name, clip.labels, clip.split, clip.start, clip.end, status.st_size, status.st_mtime_ns)
        digest.update(repr(facts).encode())
    return digest.hexdigest()
