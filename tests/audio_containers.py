"""WAV, RF64, W64, AIFF, CAF and AU taken apart, so that their sizes can be misstated and chunks put in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from audio_files import Samples, write

_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of most of W64's names


class Container(NamedTuple):
    """How a format writes a chunk, in bytes: its name, its size, and what stands before the samples."""

    extension: str
    how: dict[str, Any]
    order: Literal["little", "big"] = "little"
    width: int = 4
    align: int = 2
    name: bytes = b"data"
    counted: int = 0
    skipped: int = 0

    def chunk(self, name: bytes, content: bytes, size: int | None = None) -> bytes:
        """A chunk, padded; `size` is what it states in place of the truth."""
        name = name + _TAIL if self.counted else name
        stated = (len(content) if size is None else size) + self.counted
        head = name + (stated % 256**self.width).to_bytes(self.width, self.order)
        return head + content + bytes(-len(content) % self.align)

    def parts(self, folder: Path, samples: Samples) -> tuple[bytes, bytes]:
        """(what stands before the chunk of samples, the stored samples) of a file of noise."""
        data = write(folder / f"parts.{self.extension}", samples, **self.how).read_bytes()
        name = self.name + _TAIL if self.counted else self.name
        start = data.index(name)
        first = start + len(name) + self.width + self.skipped
        return data[:start], data[first : first + samples.size * 2]

    def file(self, before: bytes, stored: bytes, size: int | None = None, behind: bytes = b"") -> bytes:
        """A whole file; `size` is how many bytes of samples it states."""
        stated = None if size is None else size + self.skipped
        if before.startswith(b"RF64"):  # its true size stands in another chunk, this one says to look there
            at, true = before.index(b"ds64") + 16, len(stored) if size is None else size
            before = before[:at] + (true % 2**64).to_bytes(8, "little") + before[at + 8 :]
            stated = 2**32 - 1
        return before + self.chunk(self.name, bytes(self.skipped) + stored, stated) + behind


CONTAINERS = {
    "wav": Container("wav", {}),
    "extensible": Container("wav", {"format": "WAVEX"}),
    "big": Container("wav", {"endian": "BIG"}, order="big"),
    "rf64": Container("wav", {"format": "RF64"}),
    "w64": Container("w64", {}, width=8, align=8, counted=24),
    "aiff": Container("aiff", {}, order="big", name=b"SSND", skipped=8),
    "aifc": Container("aiff", {"endian": "LITTLE"}, order="big", name=b"SSND", skipped=8),
    "caf": Container("caf", {}, order="big", width=8, align=1, skipped=4),
}


def au(stored: bytes, size: int, order: Literal["little", "big"] = "big", note: bytes = b"") -> bytes:
    """An AU file of 16 bits at 22050 Hz, mono, that states `size` bytes of samples."""
    numbers = (24 + len(note), size % 2**32, 3, 22050, 1)
    magic = b".snd" if order == "big" else b"dns."
    return magic + b"".join(number.to_bytes(4, order) for number in numbers) + note + stored


def stored(samples: Samples, order: str = "little") -> bytes:
    """Samples as 16 bits."""
    return (samples * 32767).astype(">i2" if order == "big" else "<i2").tobytes()


def as_read(data: bytes, order: str = "little") -> Samples:
    """The samples that stored 16 bits mean."""
    return np.frombuffer(data, ">i2" if order == "big" else "<i2").astype(np.float32) / 32768
