"""Evaluations as pictures, in the style of `diffres_cli.figure`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from diffres_cli.evaluation.report import describe_splits, summary, summed_confusions, tested_rates
from diffres_cli.evaluation.result import Evaluation, MeanStd
from diffres_cli.figure import COLUMN_WIDTH, check_picture
from diffres_cli.figure.captions import LARGE, SMALL, TEXT_GREY
from diffres_cli.figure.panels import DARK, LIGHT
from diffres_cli.figure.write import figure_style, write_figure

_WORDS = {"accuracy": "Accuracy (%)", "mAP": "mAP (%)"}
_MOST_NUMBERED = 20  # classes: above, a number would not fit its cell
_LEAST_SPAN = 10.0  # percentage points
_DPI = 300


def plot_rates(found: Sequence[Evaluation], path: Path) -> None:
    """The main metric by frame rate, mean ± standard deviation, and the time a clip takes at each.

    Raises:
        UsageError: not .png, .svg or .pdf. OutputError: the file cannot be written.
    """
    check_picture(path)
    with figure_style():
        write_figure(_rates(found), path, _DPI)


def plot_confusions(found: Sequence[Evaluation], path: Path) -> None:
    """Classes by guesses at the highest rate, as shares of each class.

    Raises:
        UsageError: not .png, .svg or .pdf. OutputError: the file cannot be written.
    """
    check_picture(path)
    with figure_style():
        write_figure(_confusions(found), path, _DPI)


def _rates(found: Sequence[Evaluation]) -> Figure:
    name = found[0].main_metric
    figure = Figure(figsize=(COLUMN_WIDTH, 2.2), layout="constrained")
    axes = figure.add_subplot()
    times = axes.twinx()
    _line(times, summary(found, lambda rate: 1000 * rate.seconds), LIGHT, "s--", "Time per clip (ms)")
    values = summary(found, lambda rate: 100 * rate.metrics[name])
    _line(axes, values, DARK, "o-", _WORDS[name])
    low, high = zip(*((v.mean - v.std, min(v.mean + v.std, 100.0)) for v in values.values()), strict=True)
    axes.fill_between(
        list(values), low, high, color=DARK, alpha=0.15, linewidth=0
    )  # none describe_splits NaN
    _bound(axes)
    times.set_ylim(bottom=0)
    axes.set_zorder(times.get_zorder() + 1)  # the metric before the time
    axes.patch.set_visible(False)
    axes.set_xlabel("Frame rate (fps)")
    axes.set_xticks(tested_rates(found), labels=[f"{fps:g}" for fps in tested_rates(found)])
    _title(axes, found)
    return figure


def _line(axes: Axes, values: dict[float, MeanStd], colour: str, line: str, name: str) -> None:
    """The means as a line, and the axis in its colour."""
    means = [value.mean for value in values.values()]
    axes.plot(list(values), means, line, color=colour, markersize=3, linewidth=1.0, clip_on=False)
    axes.set_ylabel(name, color=colour)
    axes.tick_params(axis="y", colors=colour)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.06, y=0.15)


def _bound(axes: Axes) -> None:
    """No share above 100 %, and no small change that looks like a large one."""
    low, high = axes.get_ylim()
    more = max(0.0, _LEAST_SPAN - (high - low)) / 2
    high = min(max(high + more, _LEAST_SPAN), 100.0)
    axes.set_ylim(max(0.0, min(low - more, high - _LEAST_SPAN)), high)


def _title(axes: Axes, found: Sequence[Evaluation], more: str = "") -> None:
    models = ", ".join(dict.fromkeys(each.model for each in found))
    count = f", mean ± std of {len(found)}" if len(found) > 1 and not more else ""
    axes.set_title(models, loc="left", fontsize=LARGE, fontweight="bold", pad=12)
    axes.annotate(
        f"{found[0].dataset}, {describe_splits(found)}{count}{more}",
        (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", fontsize=SMALL, color=TEXT_GREY,
    )  # fmt: skip


def _confusions(found: Sequence[Evaluation]) -> Figure:
    classes, fps = found[0].classes, tested_rates(found)[-1]
    counts = np.array(summed_confusions(found, fps))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(COLUMN_WIDTH, 1.4 + 0.14 * len(classes))
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
