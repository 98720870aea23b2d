"""A prediction as plain JSON values: the documented record of `Prediction.to_dict`, `-f json` and `-f jsonl`.

    {"file": ..., "duration": s, "sample_rate": Hz, "model": ..., "fps": ..., "min_confidence": ...,
     "labels": [LABEL, ...],                           the recording's, in the order of `Settings.ranking`
     "windows": [{"start": s, "end": s, "labels": [LABEL, ...]}, ...],
     "importance_is_even": true or false,              in all windows; not where no frame is merged
     "warnings": [text, ...]}                          only where there are any

A recording tagged channel by channel has one record for each channel, in order.

A LABEL is {"label": name, "id": the ontology's, "score": 0 to 1} and, where there are labels above it,
"parents": [name, ...], nearest first. Only where asked for:

    "events": [{"label": ..., "id": ..., "start": s, "end": s, "score": 0 to 1}, ...]    sorted by start
    "channel": from 1                                  after "file", unless all channels were mixed
    "frame_rate": Hz                                   of the importance
    "importance": [...]    in each window: of its input frames; frame j is centred on start + j / frame_rate
    "importance_is_even": true or false                in each window with its importance, see `is_even`
    "embedding": [...]     in each window: the pooled feature

Times are in seconds, to the millisecond. Scores, importance and embeddings have `DECIMALS` decimals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from diffres_cli.arrays import Floats

if TYPE_CHECKING:
    from diffres_cli.tagging.prediction import Event, Label, Prediction, WindowPrediction

Record = dict[str, Any]
DECIMALS = 4
"""Decimals of model outputs. Processors add in different orders: over the examples the scores of ONNX Runtime
and of torch at AVX-512, AVX2 and SSE differ by up to 1e-5, embeddings by 2e-5. More decimals would reflect
the processor rather than the sound; at four, one value in several thousand differs, by one in the last."""
_TIME_DECIMALS = 3


def make_record(prediction: Prediction) -> Record:
    """The record of a prediction."""
    record: Record = {
        "file": prediction.file,
        **({} if prediction.channel is None else {"channel": prediction.channel}),
        "duration": round(prediction.duration, _TIME_DECIMALS),
        "sample_rate": prediction.sample_rate,
        "model": prediction.model,
        "fps": prediction.fps,
        "min_confidence": prediction.min_confidence,
        "labels": [_to_json(label) for label in prediction.labels],
        "windows": [_window(window) for window in prediction.windows],
    }
    if prediction.importance_is_even is not None:
        record["importance_is_even"] = prediction.importance_is_even
    if prediction.warnings:
        record["warnings"] = list(prediction.warnings)
    if prediction.events is not None:
        record["events"] = [_to_json(event) for event in prediction.events]
    if any(window.importance is not None for window in prediction.windows):
        record["frame_rate"] = prediction.frame_rate
    return record


def spans(record: Record) -> list[Record]:
    """The parts of a record with a start, an end and labels: its events if it has them, else its windows.

    A recording in which no event was found is one span without labels, so that it keeps a row in a table.
    """
    if "events" not in record:
        windows: list[Record] = record["windows"]
        return windows
    events = [event | {"labels": [event]} for event in record["events"]]
    return events or [{"start": 0.0, "end": record["duration"], "labels": []}]


def columns_of(record: Record) -> tuple[str, ...]:
    """The columns of a record's table: after the file its channel where there is one."""
    channel = ("channel",) if "channel" in record else ()
    return ("file", *channel, "start", "end", "label", "id", "score", "model", "fps", "min_confidence")


def table_rows(record: Record, arrays: bool = False) -> Iterator[Record]:
    """The rows of CSV, Parquet and pandas: one per label of a span, by column. A span without labels has one.

    Args:
        arrays: a window's importance and embedding too, in its first row, with the frame rate.
    """
    columns = columns_of(record)
    if arrays and "frame_rate" in record:
        columns += ("frame_rate",)
    for span in spans(record):
        lists = {name: span[name] for name in ("importance", "embedding") if arrays and name in span}
        for label in span["labels"] or [dict[str, Any]()]:
            values = record | span | {name: label.get(name) for name in ("label", "id", "score")}
            yield {name: values[name] for name in columns} | lists
            lists = {}


def _window(window: WindowPrediction) -> Record:
    record: Record = {
        "start": round(window.start, _TIME_DECIMALS),
        "end": round(window.end, _TIME_DECIMALS),
        "labels": [_to_json(label) for label in window.labels],
    }
    for name in ("importance", "embedding"):
        values: Floats | None = getattr(window, name)
        if values is not None:
            record[name] = np.round(values.astype(np.float64), DECIMALS).tolist()
    if window.importance is not None and window.importance_is_even is not None:
        record["importance_is_even"] = window.importance_is_even
    return record


def _to_json(found: Label | Event) -> Record:
    digits = {"score": DECIMALS, "start": _TIME_DECIMALS, "end": _TIME_DECIMALS}
    record = {
        name: round(value, digits[name]) if name in digits else value for name, value in vars(found).items()
    }
    parents = record.pop("parents", ())
    return record | ({"parents": list(parents)} if parents else {})
