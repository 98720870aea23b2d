"""A recipe's data, found, decoded and checked, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from diffres_cli.datasets import Clip, Dataset, load_dataset
from diffres_cli.datasets.waveforms.cache import WaveformCache, build_cache
from diffres_cli.errors import DataError, SettingError, UsageError
from diffres_cli.recipes.recipe import Data, Recipe
from diffres_cli.recipes.splits import split_names
from diffres_cli.training.clips import ClipSource, SoftTargets, Targets, fingerprint
from diffres_cli.training.softlabels import SoftLabels, read_folder, read_table


@dataclass(frozen=True)
class FoundData:
    """A recipe's data before anything is decoded.

    Attributes:
        soft: probabilities to train against in place of labels. missing: names of clips without a file.
        clips: "train" and "validation" -> clips with a file.
    """

    dataset: Dataset
    soft: SoftLabels | None
    clips: dict[str, tuple[Clip, ...]]
    missing: tuple[str, ...]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """For run.json: dataset, root, how many clips each split has, SHA-256 of all that is used."""
        used = [*self.clips["train"], *self.clips["validation"]]
        return {
            "dataset": self.dataset.name,
            "root": str(self.dataset.root),
            "clips": {split: len(clips) for split, clips in self.clips.items()},
            "sha256": fingerprint(self.dataset, used, self.soft),
        }


@dataclass(frozen=True)
class TrainingData:
    """What a run trains and validates on. problems: clip -> why it is not used."""

    train: ClipSource
    validation: ClipSource
    problems: dict[str, str]

    def counts(self) -> dict[str, int]:
        """How many clips each split has."""
        return {"train": len(self.train), "validation": len(self.validation)}


def find_data(recipe: Recipe, world_size: int) -> FoundData:
    """The clips of a recipe; whatever can be refused before they are decoded is.

    Args:
        world_size: processes that share each batch.

    Raises:
        DataError: not there, no clips in a split, one class, or too many missing.
        UsageError: the batch cannot be shared out.
    """
    dataset, soft = _load(recipe.data)
    if len(dataset.classes) < 2:
        raise DataError(f"{dataset.name} in {dataset.root}: one class, {dataset.classes[0]}; two are needed")
    names = split_names(recipe.data, dataset)
    clips = {split: _clips(dataset, split, names[split]) for split in ("train", "validation")}
    found = FoundData(dataset, soft, clips, dataset.missing_of(*names["train"], *names["validation"]))
    _check_missing(found, dict.fromkeys(found.missing, "missing"), recipe.data)
    _check_shares(recipe, found, world_size)
    return found


def decode_data(found: FoundData, recipe: Recipe, progress: Callable[[str, int, int], None]) -> TrainingData:
    """Decode what was found.

    Args:
        progress: called with the split, clips done, and of how many.

    Raises:
        DataError: no clip of a split can be decoded, or too many cannot.
    """
    sources, problems = {}, dict.fromkeys(found.missing, "missing")
    for split, clips in found.clips.items():
        rate = recipe.model.mel.sample_rate
        cache = build_cache(clips, rate, None, on_progress=partial(progress, split))
        sources[split] = _clip_source(cache, clips, found)
        problems |= cache.failures
        if not len(sources[split]):
            why = _first(cache.failures)
            raise DataError(f"{found.dataset.name}: no clip for {split} can be decoded: {why}")
    _check_missing(found, problems, recipe.data)
    return TrainingData(**sources, problems=problems)


def _load(data: Data) -> tuple[Dataset, SoftLabels | None]:
    path = Path(data.soft_labels)
    if data.soft_labels and path.is_dir():
        return read_folder(path)
    if not data.dataset:
        raise SettingError("soft_labels", path, "is a table; give the dataset whose clips it is for")
    dataset = load_dataset(data.dataset, Path(data.root) if data.root else None)
    return dataset, read_table(path, dataset) if data.soft_labels else None


def _clips(dataset: Dataset, use: str, splits: tuple[str, ...]) -> tuple[Clip, ...]:
    if not splits:
        raise DataError(
            f"data.{use} names no split; {dataset.name} has {', '.join(dataset.splits)}: name some, such as "
            f'data.{use}=["{dataset.splits[-1]}"]'
        )
    return dataset.clips_of(*splits)


def _clip_source(cache: WaveformCache, clips: tuple[Clip, ...], found: FoundData) -> ClipSource:
    members = np.flatnonzero(cache.lengths > 0)
    used = [clips[int(i)] for i in members]
    if found.soft:
        return ClipSource(cache, members, SoftTargets(found.soft.rows_of(used)))
    return ClipSource(cache, members, Targets([clip.labels for clip in used], len(found.dataset.classes)))


def _check_missing(found: FoundData, problems: dict[str, str], data: Data) -> None:
    listed = len(found.missing) + sum(map(len, found.clips.values()))
    if len(problems) > data.maximum_missing * listed:
        raise DataError(
            f"{len(problems)} of {listed} clips are missing or cannot be decoded ({_first(problems)}, ...), "
            f"more than data.maximum_missing ({data.maximum_missing:.0%}): "
            f"`{found.dataset.check_command(data.root)}` lists them; complete the dataset, or raise "
            "that share"
        )


def _check_shares(recipe: Recipe, found: FoundData, world_size: int) -> None:
    batch, parts = recipe.training.batch_size, recipe.training.accumulate * world_size
    clips, validated = (len(found.clips[split]) for split in ("train", "validation"))
    if batch < parts:
        raise UsageError(
            f"training.batch_size is {batch}: must be at least {parts}, to be shared by {world_size} "
            f"processes in {recipe.training.accumulate} parts"
        )
    if clips < parts:
        raise UsageError(f"{clips} clips to train on are too few to be shared out in {parts} parts")
    if validated < world_size:
        raise UsageError(f"{validated} clips to validate on are too few for {world_size} processes")


def _first(problems: dict[str, str]) -> str:
    return ": ".join(next(iter(problems.items()), ("", "")))
