"""The folder of a training run, as evaluation sees it: its data, its model, what it scored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffres_cli.checkpoint.find import WEIGHTS_NAME
from diffres_cli.datasets.clip import Dataset
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.files import read_json, read_toml, write_json

MODEL_NAME = WEIGHTS_NAME
RECIPE_NAME, FACTS_NAME, EVALUATION_NAME = "recipe.toml", "run.json", "evaluation.json"


@dataclass(frozen=True)
class Run:
    """A run whose model can be tested.

    Attributes:
        dataset, root: what it was trained on; dataset "" is a folder of soft labels, root "" the usual
            place. train, validation: its splits, as the recipe names them. test: the splits held out.
        fold: the fold held out, 0 for a dataset without. maximum_missing: the share of clips.
    """

    folder: Path
    dataset: str
    root: str
    test: tuple[str, ...]
    fold: int
    maximum_missing: float
    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def model(self) -> Path:
        """Its best weights."""
        return self.folder / MODEL_NAME

    @property
    def evaluation(self) -> Path:
        """Where its result is kept."""
        return self.folder / EVALUATION_NAME

    @property
    def splits(self) -> tuple[str, ...]:
        """What it is tested on."""
        return (f"fold{self.fold}",) if self.fold else self.test

    def trained_on(self, dataset: Dataset) -> tuple[str, ...]:
        """The dataset's splits it learnt from: every fold but its own, or those its recipe names."""
        if self.fold:
            folds = (split for split in dataset.splits if split.startswith("fold"))
            return tuple(fold for fold in folds if fold not in self.splits)
        if self.train != ("rest",):
            return self.train
        return tuple(split for split in dataset.splits if split not in (*self.validation, *self.test))


def is_run(path: Path) -> bool:
    """Whether this is the folder of a training run."""
    return (path / RECIPE_NAME).is_file()


def open_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        UsageError: it is none, or has no model yet.
    """
    if not is_run(folder):
        found = "no such folder" if not folder.is_dir() else f"it holds no {RECIPE_NAME}"
        raise UsageError(
            f"{folder}: not a training run, {found}: give what `diffres train` wrote, or a model"
        )
    if not (folder / MODEL_NAME).exists():
        raise UsageError(
            f"{folder}: no {MODEL_NAME} yet: the first validation writes it; "
            f"`diffres train --resume {folder}` goes on"
        )
    return _read(folder)


def write_evaluation(run: Run, found: Mapping[str, Any]) -> None:
    """Keep what a run scored, as RUN/evaluation.json.

    Raises:
        OutputError: it cannot be written.
    """
    write_json(run.evaluation, found)


def read_evaluation(folder: Path) -> dict[str, Any] | None:
    """What `write_evaluation` wrote, when it is of the model that is there now; None without.

    Raises:
        ModelError: it is damaged, or of an older model.
    """
    path = folder / EVALUATION_NAME
    advice = f": run `diffres eval {folder}` again"
    if not path.exists():
        return None
    found = read_json(path, ModelError, advice)
    if "sha256" not in found:
        raise ModelError(f"{path}: it states no sha256{advice}")
    if found["sha256"] != sha256(folder / MODEL_NAME):
        raise ModelError(f"{path}: of an older {MODEL_NAME}{advice}")
    return found


def read_facts(folder: Path) -> dict[str, Any]:
    """RUN/run.json, as far as it can be read."""
    try:
        return read_json(folder / FACTS_NAME)
    except UsageError:
        return {}


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(folder: Path) -> Run:
    path = folder / RECIPE_NAME
    try:
        data = read_toml(path)["data"]
        return Run(
            folder,
            dataset=str(data.get("dataset", "") if data.get("soft_labels") else data["dataset"]),
            root=str(data.get("root", "")),
            test=tuple(data.get("test", ("test",))),
            fold=int(data.get("fold", 0)),
            maximum_missing=float(data.get("maximum_missing", 0.05)),
            train=tuple(data.get("train", ("train",))),
            validation=tuple(data.get("validation", ("validation",))),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the recipe of a run ({error!r})") from error
