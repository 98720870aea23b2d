"""Evaluations -> a table for people, JSON, CSV; several as mean ± standard deviation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from diffres_cli.evaluation.result import Evaluation, MeanStd, RateResult, mean_and_std
from diffres_cli.text import first_few, pluralize, to_csv

NAMES = {"accuracy": "accuracy %", "mAP": "mAP %", "AUC": "AUC", "d_prime": "d'"}
TIME = "ms a clip"
_DIGITS = {"accuracy": 1, "mAP": 1, "AUC": 4, "d_prime": 2}


def tested_rates(found: Iterable[Evaluation]) -> list[float]:
    """All frame rates tested, ascending."""
    return sorted({rate.fps for each in found for rate in each.rates})


def metric_names(found: Sequence[Evaluation]) -> list[str]:
    """What was measured, the main metric first."""
    return [name for name in NAMES if name in found[0].rates[0].metrics]


def summary(found: Sequence[Evaluation], value: Callable[[RateResult], float]) -> dict[float, MeanStd]:
    """By frame rate, the spread of a value over the evaluations that have the rate."""
    return {
        fps: mean_and_std([value(rate) for each in found for rate in each.rates if rate.fps == fps])
        for fps in tested_rates(found)
    }


def as_table(found: Sequence[Evaluation]) -> str:
    """For people: the mean at each rate, then each evaluation's main metric, then what was left out."""
    names = metric_names(found)
    columns = [summary(found, _metric(name)) for name in names]
    times = summary(found, lambda rate: rate.seconds)
    rows = [["fps", *(NAMES[name] for name in names), TIME]]
    for fps in tested_rates(found):
        cells = [format_metric(name, column[fps]) for name, column in zip(names, columns, strict=True)]
        rows.append([f"{fps:g}", *cells, f"{1000 * times[fps].mean:.1f}"])
    text = f"{describe_evaluations(found)}\n\n{align_columns(rows)}"
    if len(found) > 1:
        text += f"\n{NAMES[found[0].main_metric]} of each\n{align_columns(_result_rows(found))}"
    return text + "".join(f"\n{line}\n" for line in _left_out(found))


def describe_evaluations(found: Sequence[Evaluation]) -> str:
    """Which data, which models, how they were run."""
    models = ", ".join(dict.fromkeys(each.model for each in found))
    ways = ", ".join(dict.fromkeys(f"{each.backend} on {each.device}" for each in found))
    first = found[0]
    line = f"{first.dataset}, {describe_splits(found)}, {len(first.classes)} classes: {models}, {ways}, "
    if len(found) == 1:
        return f"{line}{pluralize(first.clips, 'clip')}"
    return f"{line}{len(found)} evaluations: mean ± standard deviation"


def describe_splits(found: Sequence[Evaluation]) -> str:
    """The splits or folds that were tested, in words."""
    splits = list(dict.fromkeys(split for each in found for split in each.splits))
    first = int(splits[0].removeprefix("fold")) if splits[0].startswith("fold") else 0
    if len(splits) > 1 and splits == [f"fold{first + i}" for i in range(len(splits))]:
        return f"folds {first} to {first + len(splits) - 1}"
    return ", ".join(splits)


def format_metric(name: str, value: MeanStd) -> str:
    """A metric as the table shows it.

    >>> format_metric("accuracy", MeanStd(0.945, 0.012)), format_metric("AUC", MeanStd(0.98765, math.nan))
    ('94.5 ± 1.2', '0.9877')
    """
    scale, digits = (100 if name in ("accuracy", "mAP") else 1), _DIGITS[name]
    text = "–" if math.isnan(value.mean) else f"{scale * value.mean:.{digits}f}"
    return text if math.isnan(value.std) else f"{text} ± {scale * value.std:.{digits}f}"


def align_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns: words to the left, numbers to the right.

    >>> print(align_columns([["fps", "AUC"], ["100", "0.9"]]), end="")
    fps  AUC
    100  0.9
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    left = [any(cell[:1].isalpha() for cell in column[1:]) for column in columns]
    lines = (
        "  ".join(
            cell.ljust(width) if words else cell.rjust(width)
            for cell, width, words in zip(row, widths, left, strict=True)
        )
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def as_json(found: Sequence[Evaluation], facts: dict[str, Any]) -> str:
    """`facts` (command, machine, versions), the summary by rate and each evaluation; shares, seconds."""
    names = metric_names(found)
    columns = {name: summary(found, _metric(name)) for name in names}
    columns["seconds_per_clip"] = summary(found, lambda rate: rate.seconds)
    by_rate = [
        {"fps": fps, **{name: _plain(column[fps]) for name, column in columns.items()}}
        for fps in tested_rates(found)
    ]
    document = {**facts, "summary": by_rate, "evaluations": [each.plain() for each in found]}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(found: Sequence[Evaluation]) -> str:
    """One row for each evaluation and rate; shares, seconds."""
    names = metric_names(found)
    header = ["dataset", "split", "fold", "clips", *_CONDITIONS, "fps", *names, "seconds_per_clip"]
    rows = [
        [each.dataset, ",".join(each.splits), each.fold, each.clips, *_conditions(each), rate.fps]
        + [rate.metrics[name] for name in names]
        + [rate.seconds]
        for each in found
        for rate in each.rates
    ]
    return to_csv([header, *rows])


def per_class_csv(found: Sequence[Evaluation]) -> str:
    """One row for each evaluation, rate and class."""
    scores = ["count", "average_precision", "auc", "recall", "precision", "f1"]
    rows = [
        [each.dataset, ",".join(each.splits), each.model, rate.fps, label, *asdict(held).values()]
        for each in found
        for rate in each.rates
        for label, held in zip(each.classes, rate.classes, strict=True)
    ]
    return to_csv([["dataset", "split", "model", "fps", "label", *scores], *rows])


def confusion_csv(found: Sequence[Evaluation]) -> str:
    """By rate, one row a class, one column a guess: how often, in all evaluations together."""
    classes = found[0].classes
    rows = [
        [fps, label, *counts]
        for fps in tested_rates(found)
        for label, counts in zip(classes, summed_confusions(found, fps), strict=True)
    ]
    return to_csv([["fps", "label", *classes], *rows])


def summed_confusions(found: Sequence[Evaluation], fps: float) -> list[list[int]]:
    """[class][guess] of all evaluations that have the rate."""
    matrices = [rate.confusions for each in found for rate in each.rates if rate.fps == fps]
    held = [matrix for matrix in matrices if matrix is not None]
    return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*held, strict=True)]


_CONDITIONS = ("model", "backend", "device", "batch_size")


def _metric(name: str) -> Callable[[RateResult], float]:
    return lambda rate: rate.metrics[name]


def _conditions(each: Evaluation) -> list[object]:
    return [getattr(each, name) for name in _CONDITIONS]


def _result_rows(found: Sequence[Evaluation]) -> list[list[str]]:
    name, rates = found[0].main_metric, tested_rates(found)
    rows = [["model", "split", "clips", *(f"{fps:g} fps" for fps in rates)]]
    for each in found:
        held = {rate.fps: rate.metrics[name] for rate in each.rates}
        cells = [format_metric(name, MeanStd(held.get(fps, math.nan), math.nan)) for fps in rates]
        rows.append([each.model, ",".join(each.splits), str(each.clips), *cells])
    return rows


def _left_out(found: Sequence[Evaluation]) -> list[str]:
    lines = []
    for absent, each in {each.absent: each for each in found if each.absent}.items():
        lines.append(
            f"{len(absent)} of {len(each.classes)} classes have no clip in {','.join(each.splits)} and are "
            f"left out of mAP, AUC and d': {first_few(absent)}"
        )
    return lines


def _plain(value: MeanStd) -> dict[str, float | None]:
    return {key: each if math.isfinite(each) else None for key, each in value._asdict().items()}
