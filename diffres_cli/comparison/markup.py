"""A table of values as Markdown, CSV and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from diffres_cli.text import to_csv

NOTHING = "–"


class TableValue(NamedTuple):
    """A number of a table: mean, standard deviation (NaN for one run), and the paper's, if there is one."""

    mean: float
    std: float = math.nan
    paper: float | None = None
    digits: int = 1
    signed: bool = False

    def __str__(self) -> str:
        """As people read it.

        >>> str(TableValue(94.46, 1.2)), str(TableValue(-0.31, signed=True)), str(TableValue(82371, digits=0))
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
    values: tuple[TableValue | None, ...]


@dataclass(frozen=True)
class Table:
    """A table. heads: what its labels are. columns: what its values are. notes: sentences to go with it."""

    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def markdown(table: Table) -> str:
    """For people, and for pages."""
    heads, *rows = _texts(table)
    rule = ["---"] * len(table.heads) + ["---:"] * (len(heads) - len(table.heads))
    lines = [" | ".join(cell.replace("|", r"\|") for cell in cells) for cells in (heads, rule, *rows)]
    lines = [f"| {line} |" for line in lines]
    return "\n".join([f"**{table.title}**", "", *lines, *(f"\n{note}" for note in table.notes), ""])


def as_csv(table: Table) -> str:
    """One line for each value."""
    rows = [
        [*row.labels, column, value.mean, None if math.isnan(value.std) else value.std, value.paper]
        for row in table.rows
        for column, value in zip(table.columns, row.values, strict=True)
        if value
    ]
    return to_csv([[*table.heads, "column", "mean", "standard deviation", "paper"], *rows])


def latex(table: Table) -> str:
    """A floating table, which needs no package."""
    head, *body = (" & ".join(map(escape_latex, cells)) + r" \\" for cells in _texts(table))
    columns = "l" * len(table.heads) + "r" * (head.count(" & ") + 1 - len(table.heads))
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(' '.join([f'{table.title}.', *table.notes]))}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        head,
        r"\hline",
        *body,
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--",
    "×": r"$\times$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def escape_latex(text: str) -> str:
    r"""Text as LaTeX prints it.

    >>> escape_latex("50 % of R&D_1: 94.5 ± 1.2")
    '50 \\% of R\\&D\\_1: 94.5 $\\pm$ 1.2'
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


FORMATS: Mapping[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": (".md", markdown),
    "csv": (".csv", as_csv),
    "latex": (".tex", latex),
}


def _texts(table: Table) -> tuple[list[str], ...]:
    """Rows of cells, the heads first; each column of values is followed by the paper's where it has one."""
    columns = [[head, *(row.labels[place] for row in table.rows)] for place, head in enumerate(table.heads)]
    for place, head in enumerate(table.columns):
        values = [row.values[place] for row in table.rows]
        columns.append([head, *(str(value or NOTHING) for value in values)])
        if any(value and value.paper is not None for value in values):
            columns.append([f"{head}, paper", *(value.published() if value else NOTHING for value in values)])
    return tuple(map(list, zip(*columns, strict=True)))
