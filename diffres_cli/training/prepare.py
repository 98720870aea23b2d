"""A recipe's data, found, decoded and checked, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffres_cli.datasets import Clip, Dataset, load_dataset
from diffres_cli.datasets.waveforms.cache import WaveformCache, build_cache
from diffres_cli.errors import DataError, SettingError, UsageError
from diffres_cli.recipes.recipe import Data, Recipe
from diffres_cli.recipes.splits import split_names
from diffres_cli.training.material import Material, SoftTargets, Targets, fingerprint
from diffres_cli.training.softlabels import SoftLabels, read_folder, read_table


@dataclass(frozen=True)
class Found:
    """A recipe's data before anything is decoded.

    Attributes:
        clips: "train" and "validation" -> clips with a file. missing: names of those without.
        facts: for run.json: dataset, root, how many clips each split has, SHA-256 of all that is heard.
    """

    dataset: Dataset
    soft: SoftLabels | None
    clips: dict[str, tuple[Clip, ...]]
    missing: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What a run trains and validates on.

    Attributes:
        facts: those of `Found`, without the clips that cannot be decoded.
        problems: clip -> why it is not heard.
    """

    dataset: Dataset
    train: Material
    validation: Material
    facts: dict[str, Any]
    problems: dict[str, str]


def find(recipe: Recipe, world: int) -> Found:
    """The clips of a recipe; whatever can be refused before they are decoded is.

    Args:
        world: processes that share each batch.

    Raises:
        DataError: not there, no clips in a split, one class, or too many missing.
        UsageError: the batch cannot be shared out.
    """
    data = recipe.data
    dataset, soft = _dataset(data)
    if len(dataset.classes) < 2:
        raise DataError(f"{dataset.name} in {dataset.root}: one class, {dataset.classes[0]}; two are needed")
    names = split_names(data, dataset)
    clips = {split: _clips(dataset, split, names[split]) for split in ("train", "validation")}
    missing = dataset.missing_of(*names["train"], *names["validation"])
    found = Found(dataset, soft, clips, missing)
    _refuse_gaps(found, dict.fromkeys(missing, "missing"), data)
    _refuse_uneven(recipe, found, world)
    return replace(found, facts=_facts(found))


def prepare(found: Found, recipe: Recipe, progress: Callable[[str, int, int], None]) -> Prepared:
    """Decode what was found.

    Args:
        progress: what is done, how much of it, and of how much.

    Raises:
        DataError: no clip of a split can be decoded, or too many cannot.
    """
    rate = recipe.model.mel.sample_rate
    made = {
        split: _material(clips, found.dataset, found.soft, rate, partial(progress, split))
        for split, clips in found.clips.items()
    }
    problems = dict.fromkeys(found.missing, "missing")
    for split, (material, cache) in made.items():
        problems |= cache.failures
        if not len(material):
            why = _first(cache.failures)
            raise DataError(f"{found.dataset.name}: no clip for {split} can be decoded: {why}")
    _refuse_gaps(found, problems, recipe.data)
    facts = {**found.facts, "clips": {split: len(material) for split, (material, _) in made.items()}}
    return Prepared(found.dataset, made["train"][0], made["validation"][0], facts, problems)


def _facts(found: Found) -> dict[str, Any]:
    heard = [*found.clips["train"], *found.clips["validation"]]
    return {
        "dataset": found.dataset.name,
        "root": str(found.dataset.root),
        "clips": {split: len(clips) for split, clips in found.clips.items()},
        "sha256": fingerprint(found.dataset, heard, found.soft),
    }


def _clips(dataset: Dataset, use: str, splits: tuple[str, ...]) -> tuple[Clip, ...]:
    if not splits:
        example = f"--set 'data.{use}=[\"{dataset.splits[-1]}\"]'"
        raise DataError(
            f"data.{use} names no split; {dataset.name} has {', '.join(dataset.splits)}: name some, as by "
            f"{example}"
        )
    return dataset.clips_of(*splits)


def _dataset(data: Data) -> tuple[Dataset, SoftLabels | None]:
    path = Path(data.soft_labels)
    if data.soft_labels and path.is_dir():
        return read_folder(path)
    if not data.dataset:
        raise SettingError("soft_labels", path, "is a table; give the dataset whose clips it is for")
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


def _refuse_gaps(found: Found, problems: dict[str, str], data: Data) -> None:
    listed = len(found.missing) + sum(map(len, found.clips.values()))
    if len(problems) > data.maximum_missing * listed:
        where = f" --data {data.root}" if data.root else ""
        raise DataError(
            f"{len(problems)} of {listed} clips are missing or cannot be decoded ({_first(problems)}, ...), "
            f"more than data.maximum_missing ({data.maximum_missing:.0%}): `diffres data check "
            f"{found.dataset.name}{where}` lists them; complete the dataset, or raise that share with --set"
        )


def _refuse_uneven(recipe: Recipe, found: Found, world: int) -> None:
    batch, parts = recipe.training.batch_size, recipe.training.accumulate * world
    clips, tested = (len(found.clips[split]) for split in ("train", "validation"))
    if batch < parts:
        raise UsageError(
            f"training.batch_size is {batch}: must be at least {parts}, to be shared by {world} "
            f"processes in {recipe.training.accumulate} parts"
        )
    if clips < parts:
        raise UsageError(f"{clips} clips to train on are too few to be shared out in {parts} parts")
    if tested < world:
        raise UsageError(f"{tested} clips to validate on are too few for {world} processes")


def _first(problems: dict[str, str]) -> str:
    name, why = next(iter(problems.items()), ("", ""))
    return f"{name}: {why}"
