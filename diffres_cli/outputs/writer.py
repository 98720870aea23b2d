"""What every writer is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffres_cli.tagging.record import Record


class Writer:
    """A file from a sequence of records: a header, each record, a footer. Text is UTF-8.

    A format overrides `format_record`, and the others where its file has a beginning or an end.
    """

    def format_header(self) -> str | bytes:
        """What comes before the first recording."""
        return ""

    def format_record(self, record: Record) -> Iterator[str | bytes]:
        """One recording, in pieces, so that a long one is never one long string."""
        raise NotImplementedError

    def format_footer(self) -> str | bytes:
        """What comes after the last."""
        return ""

    def format_file(self, records: Iterable[Record]) -> Iterator[bytes]:
        """A whole file, in pieces."""
        yield encode(self.format_header())
        for record in records:
            yield from map(encode, self.format_record(record))
        yield encode(self.format_footer())


def encode(text: str | bytes) -> bytes:
    """Text as UTF-8; a file name that is not UTF-8 keeps its bytes."""
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
