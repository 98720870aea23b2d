"""What is to be evaluated: a request -> tasks, each one model on one set of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from diffres_cli.checkpoint.find import DEFAULT_MODEL, find_model, model_name
from diffres_cli.datasets.catalog import find_source, load_dataset
from diffres_cli.datasets.clip import Dataset
from diffres_cli.errors import SettingError, UsageError
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.recipes.files import read_recipe
from diffres_cli.recipes.recipe import Data
from diffres_cli.recipes.splits import split_names

MOST_MISSING = 0.05
Load = Callable[[str, "Path | None"], Dataset]


@dataclass(frozen=True)
class EvalRequest:
    """What is to be measured; None and empty mean the usual.

    Attributes:
        runs, models: folders of training runs, and models by name or path.
        dataset, root, split, fold: which clips; split and fold may be "all".
        fps: output frames per second. map: a label map's file. limit: how many clips, spread evenly.
        max_missing: the share of clips that may be missing or undecodable.
    """

    runs: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    dataset: str | None = None
    root: Path | None = None
    split: str | None = None
    fold: str | None = None
    fps: tuple[float, ...] = ()
    map: Path | None = None
    backend: str | None = None
    device: str = "auto"
    batch_size: int = 8
    limit: int | None = None
    max_missing: float | None = None
    offline: bool = False


@dataclass(frozen=True)
class EvalTask:
    """One model to be evaluated on one set of clips.

    Attributes:
        file: of the model. run: where it comes from and the result belongs; None where it does not count
            as the run's own.
        root: the dataset's folder, where one was given. trained: which of the splits it learnt from.
    """

    name: str
    file: Path
    dataset: Dataset
    splits: tuple[str, ...]
    max_missing: float
    run: RunFolder | None = None
    root: Path | None = None
    trained: tuple[str, ...] = ()

    @property
    def fold(self) -> int | None:
        """The fold held out, for a dataset with folds."""
        alone = len(self.splits) == 1 and _is_fold(self.splits[0])
        return int(self.splits[0].removeprefix("fold")) if alone else None

    @property
    def title(self) -> str:
        """The model, and the clips it is tested on."""
        return f"{self.name} on {self.dataset.name} {','.join(self.splits)}"


def eval_tasks(request: EvalRequest) -> list[EvalTask]:
    """What a request comes to, one entry for each model and set of clips.

    Raises:
        UsageError, DataError: runs, models, dataset or split are not there.
    """
    if request.batch_size < 1:
        raise SettingError("batch_size", request.batch_size, "must be at least 1")
    if request.limit is not None and request.limit < 1:
        raise SettingError("limit", request.limit, "must be at least 1")
    if request.max_missing is not None and not 0 <= request.max_missing <= 1:
        raise SettingError("max_missing", request.max_missing, "must be 0 to 1")
    load: Load = cache(load_dataset)  # the folds of one dataset are read once
    if request.runs:
        found = [each for folder in request.runs for each in _tasks_of_run(request, RunFolder(folder), load)]
    elif request.dataset is None:
        raise UsageError("give a dataset and a model, or the folder of a training run")
    else:
        dataset = load(request.dataset, request.root)
        models = request.models or (DEFAULT_MODEL,)
        found = list(_tasks_of_models(request, models, dataset, request.root, MOST_MISSING))
    _check_distinct(found)
    _check_same_data(found)
    return found


def clip_sets(dataset: Dataset, split: str | None, fold: str | None) -> list[tuple[str, ...]]:
    """The splits of each set of clips to test: the test split, or every fold, unless others are chosen.

    Raises:
        UsageError: a fold of a dataset without. DataError: an empty split.
    """
    folds = [name for name in dataset.splits if _is_fold(name)]
    if split is not None and fold is not None:
        raise SettingError("fold", fold, "a split is given too; choose one of them")
    if fold is not None and not folds:
        raise SettingError(
            "fold", fold, f"{dataset.name} has no folds; its splits are {', '.join(dataset.splits)}"
        )
    if fold is not None and fold != "all":
        wanted: list[tuple[str, ...]] = [(f"fold{fold}",)]
    elif split is None and folds:
        wanted = [(name,) for name in folds]
    else:
        wanted = [dataset.splits if split == "all" else tuple((split or "test").split(","))]
    for splits in wanted:
        dataset.clips_of(*splits)
    return wanted


def _tasks_of_models(
    request: EvalRequest, models: Sequence[str], dataset: Dataset, root: Path | None, max_missing: float
) -> Iterator[EvalTask]:
    most = max_missing if request.max_missing is None else request.max_missing
    for model in models:
        file = find_model(model, weights=request.backend == "torch", offline=request.offline)
        for splits in clip_sets(dataset, request.split, request.fold):
            yield EvalTask(model_name(file), file, dataset, splits, most, root=root)


def _tasks_of_run(request: EvalRequest, run: RunFolder, load: Load) -> list[EvalTask]:
    """A run's model on what it was not trained on; other models or clips if the request names them."""
    run.check_trained()
    data = read_recipe(run.recipe).data
    if not (request.dataset or data.dataset):
        raise UsageError(
            f"{run.path}: its recipe names no labelled dataset: choose one to test it on, and a label map "
            "where its labels differ"
        )
    own_clips = request.dataset is None and request.split is None and request.fold is None
    own = own_clips and not (request.models or request.map or request.limit)
    root = request.root or (Path(data.root) if data.root and request.dataset is None else None)
    dataset = load(request.dataset or data.dataset, root)
    if own_clips:
        request = replace(request, split=",".join(split_names(data, dataset)["test"]))
    models = request.models or (str(run.weights),)
    found = list(_tasks_of_models(request, models, dataset, root, data.maximum_missing))
    if request.models:
        return found
    known = split_names(data, dataset)["train"] if _trained_on(data, dataset, root) else ()
    return [
        replace(
            task,
            name=run.path.resolve().name,
            run=run if own else None,
            trained=tuple(split for split in task.splits if split in known),
        )
        for task in found
    ]


def _trained_on(data: Data, dataset: Dataset, root: Path | None) -> bool:
    """Whether a run was trained on recordings of this dataset. ESC-10's are ESC-50's, in the same folds."""
    if not data.dataset or find_source(data.dataset).folder != find_source(dataset.name).folder:
        return False
    return (
        bool(find_source(dataset.name).splits) or root is None or root.resolve() == Path(data.root).resolve()
    )


def _check_distinct(found: Sequence[EvalTask]) -> None:
    """One model on the same clips again would count as a second seed."""
    seen = set()
    for task in found:
        key = (task.file.resolve(), task.splits, task.dataset.name, task.dataset.root)
        if key in seen:
            raise UsageError(f"{task.file}: given twice: it would count as two seeds; give it once")
        seen.add(key)


def _check_same_data(found: Sequence[EvalTask]) -> None:
    """Numbers of different data have no mean."""
    first = found[0]
    for task in found[1:]:
        if _kind(task.dataset) != _kind(first.dataset):
            raise UsageError(
                f"{_described(first)} and {_described(task)} are not of the same data, and have no mean: "
                "test them one by one, or choose one dataset for all"
            )


def _kind(dataset: Dataset) -> tuple[object, ...]:
    own = None if find_source(dataset.name).splits else dataset.root.resolve()  # a user's folder has no name
    return dataset.name, own, dataset.classes, dataset.multi_label


def _described(task: EvalTask) -> str:
    dataset = task.dataset
    labels = "several labels" if dataset.multi_label else "one label"
    return f"{task.name} ({dataset.name} in {dataset.root}: {len(dataset.classes)} classes, {labels} a clip)"


def _is_fold(split: str) -> bool:
    return split.startswith("fold") and split.removeprefix("fold").isdigit()
