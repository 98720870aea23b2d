"""A prediction as plain JSON values: the documented record of `-f json` and `-f jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from diffres_cli.prediction import Label, Prediction


def as_record(prediction: Prediction) -> dict[str, Any]:
    """Times in seconds to the millisecond, scores to six decimals; `warnings` only where there are any."""
    record: dict[str, Any] = {
        "file": prediction.file,
        "duration": round(prediction.duration, 3),
        "sample_rate": prediction.sample_rate,
        "model": prediction.model,
        "fps": prediction.fps,
        "min_confidence": prediction.min_confidence,
        "labels": _labels(prediction.labels),
        "windows": [
            {"start": round(w.start, 3), "end": round(w.end, 3), "labels": _labels(w.labels)}
            for w in prediction.windows
        ],
    }
    return record | ({"warnings": list(prediction.warnings)} if prediction.warnings else {})


def to_json(record: dict[str, Any]) -> str:
    """One line of JSON. Readable as it is, unless a file name is not UTF-8: then \\u escapes keep it."""
    text = json.dumps(record, ensure_ascii=False)
    return text if _is_unicode(text) else json.dumps(record)


def _labels(labels: Iterable[Label]) -> list[dict[str, Any]]:
    return [{"label": label.label, "id": label.id, "score": round(label.score, 6)} for label in labels]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
