"""Evaluations as pictures, in the style of `diffres_cli.figure`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffres_cli.evaluation.report import Spread, rates_of, summary, summed_confusions
from diffres_cli.evaluation.result import Evaluation
from diffres_cli.figure import COLUMN
from diffres_cli.figure.panels import DARK, LIGHT
from diffres_cli.figure.text import GREY, LARGE, SMALL
from diffres_cli.figure.write import check_suffix, style, write

_WORDS = {"accuracy": "Accuracy (%)", "mAP": "mAP (%)"}
_MOST_NUMBERED = 20  # classes: above, a number would not fit its cell
_DPI = 300


def plot_rates(found: Sequence[Evaluation], path: Path) -> None:
    """The main metric by frame rate, mean ± standard deviation, and the time a clip takes at each.

    Raises:
        UsageError: not .png, .svg or .pdf. OutputError: the file cannot be written.
    """
    check_suffix(path)
    with style():
        write(_rates(found), path, _DPI)


def plot_confusions(found: Sequence[Evaluation], path: Path) -> None:
    """Classes by guesses at the highest rate, as shares of each class.

    Raises:
        UsageError: not .png, .svg or .pdf. OutputError: the file cannot be written.
    """
    check_suffix(path)
    with style():
        write(_confusions(found), path, _DPI)


def _rates(found: Sequence[Evaluation]) -> Figure:
    name = found[0].main_metric
    figure = Figure(figsize=(COLUMN, 2.2), layout="constrained")
    axes = figure.add_subplot()
    times = axes.twinx()
    _line(axes, summary(found, lambda rate: 100 * rate.metrics[name]), DARK, "o", _WORDS[name])
    _line(times, summary(found, lambda rate: 1000 * rate.seconds), LIGHT, "s", "Time per clip (ms)")
    times.set_ylim(bottom=0)
    axes.set_xlabel("Frame rate (fps)")
    axes.set_xticks(rates_of(found), labels=[f"{fps:g}" for fps in rates_of(found)])
    _title(axes, found)
    return figure


def _line(axes: Axes, values: dict[float, Spread], colour: str, marker: str, name: str) -> None:
    """A line with its spread, and its axis in its colour."""
    spreads = [0.0 if math.isnan(value.std) else value.std for value in values.values()]
    axes.errorbar(
        list(values), [value.mean for value in values.values()], spreads if any(spreads) else None,
        color=colour, marker=marker, markersize=3, linewidth=1.0, capsize=2, elinewidth=0.7,
    )  # fmt: skip
    axes.set_ylabel(name, color=colour)
    axes.tick_params(axis="y", colors=colour)
    axes.margins(x=0.06, y=0.12)


def _title(axes: Axes, found: Sequence[Evaluation], more: str = "") -> None:
    models = ", ".join(dict.fromkeys(each.model for each in found))
    splits = ",".join(dict.fromkeys(split for each in found for split in each.splits))
    count = f", {len(found)} evaluations" if len(found) > 1 else ""
    axes.set_title(models, loc="left", fontsize=LARGE, fontweight="bold", pad=12)
    axes.annotate(
        f"{found[0].dataset}, {splits}{count}{more}", (0, 1), (0, 3), xycoords="axes fraction",
        textcoords="offset points", fontsize=SMALL, color=GREY,
    )  # fmt: skip


def _confusions(found: Sequence[Evaluation]) -> Figure:
    classes, fps = found[0].classes, rates_of(found)[-1]
    counts = np.array(summed_confusions(found, fps))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(COLUMN, 1.4 + 0.14 * len(classes))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Purples", vmin=0, vmax=1, interpolation="nearest")
    places = range(len(classes))
    axes.set_xticks(places, labels=classes, rotation=90)
    axes.set_yticks(places, labels=classes)
    axes.set(xlabel="Guess", ylabel="Class")
    if len(classes) <= _MOST_NUMBERED:
        _number(axes, counts, shares)
    _title(axes, found, f", {fps:g} fps")
    return figure


def _number(axes: Axes, counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], shares: Any) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=SMALL, color=colour
        )
