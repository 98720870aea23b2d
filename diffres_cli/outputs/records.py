"""A prediction as plain JSON values: the documented record of `-f json` and `-f jsonl`, read by every writer.

    {"file": ..., "duration": s, "sample_rate": Hz, "model": ..., "fps": ..., "min_confidence": ...,
     "labels": [LABEL, ...],                           the recording's, best first
     "windows": [{"start": s, "end": s, "labels": [LABEL, ...]}, ...],
     "warnings": [text, ...]}                          only where there are any

A recording tagged channel by channel has a record for each, one behind the other.

A LABEL is {"label": name, "id": the ontology's, "score": 0 to 1}. Only where asked for:

    "events": [{"label": ..., "id": ..., "start": s, "end": s, "score": 0 to 1}, ...]    sorted by start
    "channel": from 1                                  behind "file", unless all channels were mixed
    "frame_rate": Hz                                   of the importance
    "importance": [...]    in each window: of its input frames; frame j is centred on start + j / frame_rate
    "embedding": [...]     in each window: the pooled feature

Times are in seconds, to the millisecond. Scores, importance and embeddings have `DECIMALS` decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from diffres_cli.arrays import Floats
from diffres_cli.tagging.prediction import Event, Label, Prediction, WindowPrediction

Record = dict[str, Any]
DECIMALS = 4
"""Of what a model computes. Processors add in different orders: over the examples the scores of ONNX Runtime
and of torch at AVX-512, AVX2 and SSE differ by up to 1e-5, embeddings by 2e-5. More decimals would say more
of the processor than of the sound; at four, one value in several thousand differs, by one in the last."""
COLUMNS = ("file", "start", "end", "label", "id", "score", "model", "fps", "min_confidence")

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]  # Unicode's line separators among them
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}


class Row(NamedTuple):
    """A label with its time, as the formats with one line a label write it."""

    start: float
    end: float
    label: str
    id: str
    score: float


def as_record(prediction: Prediction) -> Record:
    """The record of a prediction."""
    record: Record = {
        "file": prediction.file,
        **({} if prediction.channel is None else {"channel": prediction.channel}),
        "duration": round(prediction.duration, 3),
        "sample_rate": prediction.sample_rate,
        "model": prediction.model,
        "fps": prediction.fps,
        "min_confidence": prediction.min_confidence,
        "labels": _labels(prediction.labels),
        "windows": [_window(window) for window in prediction.windows],
    }
    if prediction.warnings:
        record["warnings"] = list(prediction.warnings)
    if prediction.events is not None:
        record["events"] = [_event(event) for event in prediction.events]
    if any(window.importance is not None for window in prediction.windows):
        record["frame_rate"] = prediction.frame_rate
    return record


def columns_of(record: Record) -> tuple[str, ...]:
    """The columns of a record's rows: `COLUMNS`, and behind the file its channel where there is one."""
    return (COLUMNS[0], "channel", *COLUMNS[1:]) if "channel" in record else COLUMNS


def label_of(row: Row, record: Record) -> str:
    """A row's label, with the channel where there is one, for formats that have no other place for it.

    >>> label_of(Row(0.0, 1.0, "Dog", "d", 0.5), {"channel": 2})
    'Dog (channel 2)'
    """
    return f"{row.label} (channel {record['channel']})" if "channel" in record else row.label


def spans(record: Record) -> list[Record]:
    """What has a start, an end and labels: the events of a record that was asked for them, else its windows.

    None goes missing where a line is written for each: a recording without events is one span without labels.
    """
    if "events" not in record:
        windows: list[Record] = record["windows"]
        return windows
    events = [event | {"labels": [event]} for event in record["events"]]
    return events or [{"start": 0.0, "end": record["duration"], "labels": []}]


def rows(record: Record) -> Iterator[Row]:
    """Every label of every span."""
    for span in spans(record):
        for label in span["labels"]:
            yield Row(span["start"], span["end"], label["label"], label["id"], label["score"])


def score_text(score: float) -> str:
    """A score in the formats of other programs, all its decimals written.

    >>> score_text(0.25)
    '0.2500'
    """
    return f"{score:.{DECIMALS}f}"


def one_line(text: str) -> str:
    r"""Text with tabs, line ends and other control characters escaped, for formats that cannot hold them.

    >>> one_line("Police\tcar\n")
    'Police\\tcar\\n'
    """
    return text.translate(_ESCAPES)


def to_json(record: Record) -> str:
    """One line of JSON. Readable as it is, unless a file name is not UTF-8: then \\u escapes keep it."""
    text = json.dumps(record, ensure_ascii=False)
    return text if _is_unicode(text) else json.dumps(record)


def _labels(labels: Iterable[Label]) -> list[Record]:
    return [{"label": label.label, "id": label.id, "score": _rounded(label.score)} for label in labels]


def _window(window: WindowPrediction) -> Record:
    record: Record = {
        "start": round(window.start, 3),
        "end": round(window.end, 3),
        "labels": _labels(window.labels),
    }
    if window.importance is not None:
        record["importance"] = _all_rounded(window.importance)
    if window.embedding is not None:
        record["embedding"] = _all_rounded(window.embedding)
    return record


def _event(event: Event) -> Record:
    return {
        "label": event.label,
        "id": event.id,
        "start": round(event.start, 3),
        "end": round(event.end, 3),
        "score": _rounded(event.score),
    }


def _rounded(score: float) -> float:
    return round(score, DECIMALS)


def _all_rounded(values: Floats) -> list[float]:
    rounded: list[float] = np.round(values.astype(np.float64), DECIMALS).tolist()
    return rounded


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
