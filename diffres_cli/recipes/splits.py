"""Which of a dataset's splits serve for what."""

from __future__ import annotations

from diffres_cli.datasets import Dataset
from diffres_cli.errors import DataError, UsageError
from diffres_cli.recipes.recipe import Data

REST = "rest"


def split_names(data: Data, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Which of the dataset's splits serve for training, validation and test.

    With folds, the one held out validates and tests, and the others train. "rest" stands for the splits
    that are named nowhere else.

    Raises:
        UsageError: a fold that the dataset does not have, or one asked for where there are none.
        DataError: there is no other fold.
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
    if folds == [held]:
        raise DataError(f"{dataset.name} has clips in {held} alone: holding it out leaves none to train on")
    return {"train": tuple(fold for fold in folds if fold != held), "validation": (held,), "test": (held,)}
