"""CSV: one row a label of a window. A window without labels keeps one row, so that none goes missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from diffres_cli.prediction import Label, Prediction, WindowPrediction

COLUMNS = ("file", "start", "end", "label", "id", "score", "model", "fps", "min_confidence")


class CsvWriter:
    """See `diffres_cli.outputs.Writer`."""

    def begin(self) -> str:
        """The header."""
        return _line(COLUMNS)

    def record(self, prediction: Prediction) -> Iterator[str]:
        """The rows of one recording, window by window."""
        for window in prediction.windows:
            for label in window.labels or (None,):
                yield _line(_row(prediction, window, label))

    def end(self) -> str:
        """Nothing."""
        return ""


def _row(prediction: Prediction, window: WindowPrediction, label: Label | None) -> tuple[object, ...]:
    what = (label.label, label.id, round(label.score, 6)) if label else ("", "", "")
    how = (prediction.model, prediction.fps, prediction.min_confidence)
    return prediction.file, round(window.start, 3), round(window.end, 3), *what, *how


def _line(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


writer = CsvWriter
