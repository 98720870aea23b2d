"""JSON Lines: one object a recording, one recording a line."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import as_record, to_json
from diffres_cli.prediction import Prediction


class JsonLinesWriter:
    """See `diffres_cli.outputs.Writer`."""

    def begin(self) -> str:
        """Nothing."""
        return ""

    def record(self, prediction: Prediction) -> Iterator[str]:
        """One line."""
        yield to_json(as_record(prediction)) + "\n"

    def end(self) -> str:
        """Nothing."""
        return ""


writer = JsonLinesWriter
