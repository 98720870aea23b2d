"""Render examples/: the sounds of scripts/examples, the labels expected of them, and the README.

    python scripts/render_examples.py

A file that already sounds right is left alone, because an Ogg stream gets a random serial number: a second
run changes nothing.
"""

from __future__ import annotations

import csv
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
from examples.nature import birdsong, rain
from examples.speech import spoken_words
from examples.struck import church_bell, telephone
from examples.synthesis import RATE, Samples
from examples.tones import siren, smoke_alarm, whistling

from diffres_cli.files import write_atomically

TARGET = Path(__file__).parent.parent / "examples"
LEVEL = 0.7  # peak of every file: a lossy codec overshoots a little, and must not clip
COMPRESSION = {".flac": 1.0, ".ogg": 0.2}  # 1 is smallest; Vorbis's own default dulls the telephone
LAST_BITS = 1e-4  # two machines may round a sample differently; that is no other sound


class Example(NamedTuple):
    """A sound, the format it is kept in, and its AudioSet labels: the expected one, then others as right."""

    render: Callable[[], Samples]
    suffix: str
    labels: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file's name: the sound's, and the format's suffix."""
        return f"{self.render.__name__}{self.suffix}"


# FLAC where it is small; Ogg Vorbis for the sounds that echo or hiss all the time.
EXAMPLES = (
    Example(spoken_words, ".flac", ("Speech", "Speech synthesizer", "Male speech, man speaking")),
    Example(telephone, ".ogg", ("Telephone bell ringing", "Ringtone", "Telephone")),
    Example(church_bell, ".ogg", ("Church bell", "Bell")),
    Example(birdsong, ".flac", ("Bird", "Bird vocalization, bird call, bird song", "Chirp, tweet")),
    Example(smoke_alarm, ".ogg", ("Smoke detector, smoke alarm",)),
    Example(siren, ".ogg", ("Siren", "Police car (siren)")),
    Example(whistling, ".flac", ("Whistling",)),
    Example(rain, ".ogg", ("Rain on surface", "Rain", "Raindrop")),
)

README = """\
# Example sounds

Made by this project, with NumPy alone: nothing here was recorded. Written by `python
scripts/render_examples.py`, this page included. To the extent possible under law, the authors have waived
all rights to these sounds: [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/).

`expected.csv` names the label `audioset-small` should rank first, and those that would be as right (AudioSet
names many sounds more than once). `tests/test_examples.py` holds it to one of them, by a clear margin, at 25,
50 and 100 fps. The sounds were adjusted until the model knew them: they show that it works, not how well.

| file | seconds | expected label | as right |
|---|---|---|---|
{rows}

{texts}
"""


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    sounds = {example: LEVEL * example.render() for example in EXAMPLES}
    for example, samples in sounds.items():
        write_sound(TARGET / example.file, samples)
    write_atomically(TARGET / "expected.csv", expected().encode())
    write_atomically(TARGET / "README.md", readme(sounds).encode())


def write_sound(path: Path, samples: Samples) -> None:
    encoded = io.BytesIO()
    sf.write(encoded, samples, RATE, format=path.suffix[1:], compression_level=COMPRESSION[path.suffix])
    if not (path.exists() and sounds_like(path.read_bytes(), encoded.getvalue())):
        write_atomically(path, encoded.getvalue())


def sounds_like(one: bytes, other: bytes) -> bool:
    first, second = (sf.read(io.BytesIO(encoded))[0] for encoded in (one, other))
    return len(first) == len(second) and np.allclose(first, second, rtol=0, atol=LAST_BITS)


def expected() -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file", "label", "alternatives"))
    writer.writerows((e.file, e.labels[0], ";".join(e.labels[1:])) for e in EXAMPLES)
    return table.getvalue()


def readme(sounds: dict[Example, Samples]) -> str:
    rows = [
        f"| `{e.file}` | {len(samples) / RATE:.1f} | {e.labels[0]} | {'; '.join(e.labels[1:])} |"
        for e, samples in sounds.items()
    ]
    texts = [f"**{e.file}**: {inspect.getdoc(e.render)}" for e in EXAMPLES]
    return README.format(rows="\n".join(rows), texts="\n\n".join(texts))


if __name__ == "__main__":
    main()
