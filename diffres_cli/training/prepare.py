"""A recipe's data, found, decoded and checked, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffres_cli.datasets import Clip, Dataset, load_dataset
from diffres_cli.datasets.cache import WaveformCache, build_cache
from diffres_cli.errors import DataError, UsageError
from diffres_cli.training.material import Material, SoftTargets, Targets, fingerprint
from diffres_cli.training.recipe import Data, Recipe
from diffres_cli.training.softlabels import SoftLabels, read_folder, read_table
from diffres_cli.training.start import FRONT_ENDS

REST = "rest"


@dataclass(frozen=True)
class Prepared:
    """What a run trains and validates on.

    Attributes:
        facts: for run.json: dataset, root, clips in each split, SHA-256.
        problems: clip -> why it is not heard.
    """

    dataset: Dataset
    train: Material
    validation: Material
    facts: dict[str, Any]
    problems: dict[str, str]


def prepare(recipe: Recipe, world: int, progress: Callable[[str, int, int], None]) -> Prepared:
    """Find and decode the clips of a recipe.

    Args:
        world: processes that share each batch. progress: what is done, how much of it, and of how much.

    Raises:
        DataError: not there, no clips in a split, or more missing than `data.maximum_missing`.
        UsageError: the batch cannot be shared out.
    """
    data = recipe.data
    dataset, soft = _dataset(data)
    names = split_names(data, dataset)
    splits = {split: _clips(dataset, split, names[split]) for split in ("train", "validation")}
    rate = FRONT_ENDS[recipe.model.front_end].sample_rate
    made = {
        split: _material(clips, dataset, soft, rate, partial(progress, split))
        for split, clips in splits.items()
    }
    problems = dict.fromkeys(dataset.missing, "missing")
    for split, (_, cache) in made.items():
        problems |= cache.failures
        if not made[split][0].members.size:
            raise DataError(
                f"{dataset.name}: no clip of the split {split} can be decoded: {_first(cache.failures)}"
            )
    listed = len(dataset.missing) + sum(map(len, splits.values()))
    _refuse_gaps(problems, listed, data.maximum_missing)
    _refuse_uneven(recipe, len(made["train"][0]), world)
    facts = {
        "dataset": dataset.name,
        "root": str(dataset.root),
        "clips": {split: len(material) for split, (material, _) in made.items()},
        "sha256": fingerprint(dataset, [clip for clips in splits.values() for clip in clips], soft),
    }
    return Prepared(dataset, made["train"][0], made["validation"][0], facts, problems)


def split_names(data: Data, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Which of the dataset's splits serve for training, validation and test.

    With folds, the one held out validates and tests, and the others train. "rest" stands for the splits
    that are named nowhere else.

    Raises:
        UsageError: a fold that the dataset does not have, or one asked for where there are none.
    """
    folds = sorted(split for split in dataset.splits if split.startswith("fold"))
    if not folds:
        if data.fold:
            raise UsageError(
                f"data.fold is {data.fold}: {dataset.name} has no folds but {', '.join(dataset.splits)}"
            )
        named = {"train": data.train, "validation": data.validation, "test": data.test}
        taken = {split for splits in named.values() for split in splits}
        rest = tuple(split for split in dataset.splits if split not in taken)
        return {use: rest if splits == (REST,) else splits for use, splits in named.items()}
    held = f"fold{data.fold}"
    if held not in folds:
        raise UsageError(
            f"data.fold is {data.fold}: {dataset.name} has {', '.join(folds)}; hold one of them out"
        )
    return {"train": tuple(fold for fold in folds if fold != held), "validation": (held,), "test": (held,)}


def _clips(dataset: Dataset, use: str, splits: tuple[str, ...]) -> tuple[Clip, ...]:
    if not splits:
        raise DataError(f"data.{use} is empty; {dataset.name} has the splits {', '.join(dataset.splits)}")
    return dataset.of(*splits)


def _dataset(data: Data) -> tuple[Dataset, SoftLabels | None]:
    path = Path(data.soft_labels)
    if data.soft_labels and path.is_dir():
        return read_folder(path)
    dataset = load_dataset(data.dataset, Path(data.root) if data.root else None)
    return dataset, read_table(path, dataset) if data.soft_labels else None


def _material(
    clips: Sequence[Clip],
    dataset: Dataset,
    soft: SoftLabels | None,
    rate: int,
    progress: Callable[[int, int], None],
) -> tuple[Material, WaveformCache]:
    cache = build_cache(clips, rate, None, on_progress=progress)
    members = np.flatnonzero(cache.lengths > 0)
    heard = [clips[int(i)] for i in members]
    hard = Targets([clip.labels for clip in heard], len(dataset.classes))
    targets = SoftTargets(soft.of(heard)) if soft else hard
    return Material(cache, members, targets), cache


def _refuse_gaps(problems: dict[str, str], listed: int, allowed: float) -> None:
    if len(problems) > allowed * listed:
        raise DataError(
            f"{len(problems)} of {listed} clips are missing or cannot be decoded ({_first(problems)}, ...), "
            f"more than data.maximum_missing ({allowed:.0%}): see `diffres data check`"
        )


def _refuse_uneven(recipe: Recipe, clips: int, world: int) -> None:
    parts = recipe.training.accumulate * world
    size = min(recipe.training.batch_size, clips)
    if size % parts or (world > 1 and size // parts % 2):
        raise UsageError(
            f"training.batch_size is {size}: must be a multiple of {2 * parts if world > 1 else parts}, "
            f"to be shared by {world} processes in {recipe.training.accumulate} parts"
        )


def _first(problems: dict[str, str]) -> str:
    name, why = next(iter(problems.items()), ("", ""))
    return f"{name}: {why}"
