"""What a table must say beside its numbers: how they were made, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.plan import count_of
from diffres_cli.comparison.results import Result

_METRICS = {"accuracy": "Accuracy in %", "mAP": "Mean average precision (mAP) in %"}
# The budget, and the words for it; the rest is in each cell's recipe.
_BUDGET = {
    "model.architecture": "{}",
    "model.width": "width {:g}",
    "model.init": "started from {}",
    "training.epochs": "{} epochs",
    "training.batch_size": "batches of {}",
    "optimizer.lr": "learning rate {:g}",
    "optimizer.schedule": "{} schedule",
}
_UNSAID = {"model.width": 1.0, "model.init": ""}


def notes(cells: Sequence[Cell], results: Sequence[Result]) -> Iterator[str]:
    """Sentences: the metric, the budget that all cells share, which results are missing."""
    metrics = dict.fromkeys(result.metric for result in results)
    if metrics:
        named = "; ".join(_METRICS[metric] for metric in metrics)
        yield f"{named}; mean ± standard deviation (n - 1) over seeds and folds, without ± a single run."
    yield f"Each cell: {budget(cells)}."
    if missing := len(cells) - len(results):
        yield f"{missing} of {count_of(len(cells), 'cell')} have no result yet."


def budget(cells: Sequence[Cell]) -> str:
    """On what network and for how long cells are trained; what is not the same for all "differs"."""
    told = []
    recipes = [cell.recipe.flat() for cell in cells]
    for name, words in _BUDGET.items():
        values = dict.fromkeys(recipe[name] for recipe in recipes)
        if len(values) > 1:
            told.append(f"{name} differs")
        elif (value := next(iter(values))) != _UNSAID.get(name):
            told.append(words.format(value))
    return ", ".join(told)
