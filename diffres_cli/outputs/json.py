"""One JSON document: a list with one object a recording, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import as_record, to_json
from diffres_cli.prediction import Prediction


class JsonWriter:
    """See `diffres_cli.outputs.Writer`."""

    def __init__(self) -> None:
        self._written = 0

    def begin(self) -> str:
        """Opens the list."""
        return "["

    def record(self, prediction: Prediction) -> Iterator[str]:
        """One object, on a line of its own."""
        yield ",\n" if self._written else "\n"
        yield to_json(as_record(prediction))
        self._written += 1

    def end(self) -> str:
        """Closes the list."""
        return "\n]\n"


writer = JsonWriter
