"""Records to write: real recordings tagged in every way there is, and made ones that are awkward."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from diffres_cli import load_tagger
from diffres_cli.outputs import make_writer
from diffres_cli.tagging.record import Record

EXAMPLES = Path(__file__).parent.parent / "examples"
AWKWARD = 'Say "hi"\tor\r\nbye\u2028, Grüße 🔔'
ASKED = {
    "windows": {"window": 3.0, "overlap": 1.0},
    "events": {"events": True, "merge_gap": 0.25},
    "arrays": {"importance": True, "embeddings": True, "window": 3.0, "overlap": 1.0},
    "everything": {"importance": True, "embeddings": True, "events": True},
}


@cache
def tagged(asked: str) -> list[Record]:
    """Three recordings: as windows, as events, with all that can be kept of a window, and with everything."""
    tagger = load_tagger()
    files = ("telephone.ogg", "rain.ogg", "birdsong.flac")
    return [tagger.tag(EXAMPLES / file, spectrogram=False, **ASKED[asked]).to_dict() for file in files]


def label(name: str, score: float = 0.5) -> Record:
    return {"label": name, "id": "/m/0", "score": score}


def record(windows: list[tuple[float, float, list[Record]]], file: str = "a.wav") -> Record:
    return {
        "file": file,
        "duration": max(end for _, end, _ in windows),
        "sample_rate": 44100,
        "model": "audioset-small",
        "fps": 50.0,
        "min_confidence": 0.1,
        "labels": [],
        "windows": [{"start": start, "end": end, "labels": labels} for start, end, labels in windows],
    }


SILENT = record([(0.0, 10.0, []), (10.0, 12.5, [])], "silent.wav")
STRANGE = record([(0.0, 10.0, [label(AWKWARD, 0.75)])], "caf\udce9\t1.wav")


def written(name: str, *records: Record) -> bytes:
    """The file a writer makes of the records."""
    return b"".join(make_writer(name).format_file(records))
