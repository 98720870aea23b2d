"""A table of values as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

NOTHING = "–"


class Value(NamedTuple):
    """A number of a table: mean, standard deviation (NaN for one run), and the paper's, if there is one."""

    mean: float
    std: float = math.nan
    paper: float | None = None
    digits: int = 1
    signed: bool = False

    def __str__(self) -> str:
        """As people read it.

        >>> str(Value(94.46, 1.2)), str(Value(-0.31, signed=True)), str(Value(82371, digits=0))
        ('94.5 ± 1.2', '-0.3', '82,371')
        """
        if math.isnan(self.mean):
            return NOTHING
        text = f"{self.mean:{'+' if self.signed else ''},.{self.digits}f}"
        return text if math.isnan(self.std) else f"{text} ± {self.std:,.{self.digits}f}"

    def published(self) -> str:
        """The paper's number."""
        return NOTHING if self.paper is None else f"{self.paper:,.{self.digits}f}"


class Row(NamedTuple):
    """What a row is of, and its values; None where there are none."""

    labels: tuple[str, ...]
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class Table:
    """A table. heads: what its labels are. columns: what its values are. notes: sentences to go with it."""

    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def published(self) -> tuple[int, ...]:
        """Columns that the paper has numbers for."""
        return tuple(
            place
            for place in range(len(self.columns))
            if any(
                value and value.paper is not None
                for row in self.rows
                for value in row.values[place : place + 1]
            )
        )


def markdown(table: Table) -> str:
    """For people, and for pages."""
    heads, rows = _texts(table)
    lines = [_line(heads), _line(["---"] * len(table.heads) + ["---:"] * (len(heads) - len(table.heads)))]
    lines += [_line([cell.replace("|", "\\|") for cell in row]) for row in rows]
    return (
        "\n".join([f"**{table.title}**", "", *lines, "", *(f"{note}\n" for note in table.notes)]).rstrip()
        + "\n"
    )


def as_csv(table: Table) -> str:
    """One line for each value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.heads, "column", "mean", "standard deviation", "paper"])
    for row in table.rows:
        for column, value in zip(table.columns, row.values, strict=True):
            if value:
                std = "" if math.isnan(value.std) else value.std
                writer.writerow(
                    [*row.labels, column, value.mean, std, "" if value.paper is None else value.paper]
                )
    return text.getvalue()


def latex(table: Table) -> str:
    """A floating table, which needs no package."""
    heads, rows = _texts(table)
    form = "l" * len(table.heads) + "r" * (len(heads) - len(table.heads))
    body = [" & ".join(map(escaped, row)) + r" \\" for row in rows]
    caption = escaped(" ".join([f"{table.title}.", *table.notes]))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{form}}}",
            r"\hline",
            " & ".join(map(escaped, heads)) + r" \\",
            r"\hline",
            *body,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--",
    "×": r"$\times$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def escaped(text: str) -> str:
    r"""Text as LaTeX prints it.

    >>> escaped("50 % of R&D_1: 94.5 ± 1.2")
    '50 \\% of R\\&D\\_1: 94.5 $\\pm$ 1.2'
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


FORMATS: Mapping[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": (".md", markdown),
    "csv": (".csv", as_csv),
    "latex": (".tex", latex),
}


def _texts(table: Table) -> tuple[list[str], list[list[str]]]:
    """Heads and cells, each column of values followed by the paper's where it has one."""
    published = table.published()
    heads, rows = list(table.heads), [list(row.labels) for row in table.rows]
    for place, column in enumerate(table.columns):
        heads += [column, f"{column}, paper"] if place in published else [column]
        for cells, row in zip(rows, table.rows, strict=True):
            value = row.values[place]
            cells.append(str(value) if value else NOTHING)
            if place in published:
                cells.append(value.published() if value else NOTHING)
    return heads, rows


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
