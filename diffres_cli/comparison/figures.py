"""Results as pictures in the shape of the paper's figures, in the style of `diffres_cli.figure`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffres_cli.comparison.curves import Curve
from diffres_cli.comparison.markup import Table
from diffres_cli.comparison.throughput import Measured
from diffres_cli.figure import COLUMN_WIDTH
from diffres_cli.figure.captions import SMALL
from diffres_cli.figure.panels import DARK, LIGHT, LINE_GREY
from diffres_cli.figure.write import figure_style, write_figure

SUFFIXES = (".png", ".svg", ".pdf")
_DPI = 300
_HEIGHT = 2.4  # inches
_FEW = 4  # lines whose names leave room for the lines
_POINTS = 100  # of a curve: more would be noise
_COLOURS = (DARK, LIGHT, LINE_GREY, "#b5367a", "#2a788e", "#7ad151")
_LINES = ("-", "--", ":")


def draw_steps(curves: Sequence[Curve], name: str, path: Path) -> None:
    """A quantity by training step, the mean over runs, a line for each curve.

    Raises:
        OutputError: a file cannot be written.
    """

    def draw_lines(axes: Axes) -> None:
        for curve, (line, colour) in zip(curves, _styles(), strict=False):
            steps, values = _thin_out(curve.mean())
            *names, fps = _different(curve.labels, [each.labels for each in curves])
            label = ", ".join([name for name in names if name] + ([f"{fps} fps"] if fps else []))
            axes.plot(steps, values, line, color=colour, linewidth=1.0, label=label)
        axes.set(xlabel="Training step", ylabel=name[:1].upper() + name[1:])
        axes.set_ylim(bottom=0)

    _draw(draw_lines, path)


def draw_speed(speeds: Mapping[str, Mapping[float, str]], measured: Measured, path: Path) -> None:
    """Clips a second by frame rate, a line for each front end and reduction.

    Args:
        speeds: name of a line -> fps -> key of what was measured.

    Raises:
        OutputError: a file cannot be written.
    """

    def draw_lines(axes: Axes) -> None:
        for (name, keys), (line, colour) in zip(speeds.items(), _styles(), strict=False):
            rates = sorted(keys)
            numbers = [measured.rate(keys[fps]) for fps in rates]
            axes.plot(rates, numbers, f"o{line}", color=colour, linewidth=1.0, markersize=3, label=name)
        axes.set(xlabel="Frame rate (fps)", ylabel="Clips a second")
        axes.set_xticks(sorted({fps for keys in speeds.values() for fps in keys}))
        axes.set_ylim(bottom=0)

    _draw(draw_lines, path)


def draw_variants(table: Table, path: Path) -> None:
    """What each variant reaches more or less than the full model, in percentage points.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = [(row.labels, value) for row in table.rows if (value := row.values[-1])]

    def draw_bars(axes: Axes) -> None:
        every = [labels for labels, _ in rows]
        names = [", ".join(filter(None, _different(labels, every))) or labels[-1] for labels in every]
        places = range(len(rows))
        errors = [0.0 if math.isnan(value.std) else value.std for _, value in rows]
        axes.barh(
            places, [value.mean for _, value in rows], xerr=errors, color=DARK, ecolor=LINE_GREY, height=0.6
        )
        axes.axvline(0, color="black", linewidth=0.5)
        axes.set_yticks(places, labels=names)
        axes.invert_yaxis()
        axes.set_xlabel("Difference to the full model (percentage points)")

    _draw(draw_bars, path, legend=False)


def _draw(draw: Callable[[Axes], None], path: Path, *, legend: bool = True) -> None:
    for suffix in SUFFIXES:
        with figure_style():
            figure = Figure(figsize=(COLUMN_WIDTH, _HEIGHT), layout="constrained")
            axes = figure.add_subplot()
            draw(axes)
            if legend:
                _add_legend(figure, axes)
            write_figure(figure, path.with_name(path.name + suffix), _DPI)


def _add_legend(figure: Figure, axes: Axes) -> None:
    """Among the lines where they are few, else beside them, two columns wide."""
    handles, names = axes.get_legend_handles_labels()
    if 0 < len(names) <= _FEW:
        axes.legend(frameon=False, fontsize=SMALL)
    elif names:
        figure.set_figwidth(2 * COLUMN_WIDTH)
        figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=SMALL)


def _styles() -> cycle[tuple[str, str]]:
    return cycle([(line, colour) for line in _LINES for colour in _COLOURS])


def _thin_out(values: Mapping[int, float]) -> tuple[list[float], list[float]]:
    """At most `_POINTS` points: means of neighbouring steps."""
    steps = list(values)
    size = -(-len(steps) // _POINTS) or 1
    groups = [steps[i : i + size] for i in range(0, len(steps), size)]
    return [mean(group) for group in groups], [mean(values[step] for step in group) for group in groups]


def _different(labels: tuple[str, ...], every: Sequence[tuple[str, ...]]) -> list[str]:
    """The labels, with "" for those that all have in common."""
    return [label if len({each[place] for each in every}) > 1 else "" for place, label in enumerate(labels)]
