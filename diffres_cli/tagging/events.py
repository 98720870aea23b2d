"""Framewise scores -> events: labels with start and end in seconds, carried back through the warp.

The score of a window decides whether a label occurs in it; its framewise scores decide when. The two are not
on one scale. The framewise scores come from the same head, applied to single columns of the last feature map.
They swing further both ways, and alone would report some twenty labels at any moment (docs/events.md has the
figures). So only a window's own labels are looked for in its columns, at the same `min_confidence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.tagging.labels import Indices
from diffres_cli.tagging.prediction import Event, WindowPrediction


def find_runs(
    window: WindowPrediction, classes: Indices, card: ModelCard, threshold: float
) -> Iterator[Event]:
    """Where each of `classes` scores at least `threshold`, in the columns of one window, without a break.

    Args:
        window: tagged with framewise scores. classes: those the window's own scores admit.
    """
    assert window.framewise is not None, "events need framewise scores"
    assert window.framewise_times is not None, "framewise scores come with their times"
    times = window.framewise_times
    for index in classes:
        scores = window.framewise[:, index]
        for first, last in _true_runs(scores >= threshold):
            if times[first] < times[last]:
                yield Event(
                    card.classes[index],
                    card.class_ids[index],
                    float(times[first]),
                    float(times[last]),
                    float(scores[first:last].max()),
                )


def join_events(
    pieces: Iterable[Event], merge_gap: float = 0.0, min_duration: float = 0.0
) -> tuple[Event, ...]:
    """The events of a recording from the runs of its windows, sorted by start.

    Runs of a label that touch or overlap become one event, and so do those less than `merge_gap` seconds
    apart: a sound that continues across a window's border is one sound, and where windows overlap the
    larger score counts. Then those shorter than `min_duration` seconds are dropped. No two events of a
    label overlap.

    >>> pieces = [Event("Dog", "d", 0.0, 1.0, 0.9), Event("Dog", "d", 1.2, 2.0, 0.5)]
    >>> [(event.start, event.end, event.score) for event in join_events(pieces, merge_gap=0.5)]
    [(0.0, 2.0, 0.9)]
    """
    joined: list[Event] = []
    for piece in sorted(pieces, key=lambda event: (event.id, event.label, event.start)):
        last = joined[-1] if joined else None
        if last and (last.id, last.label) == (piece.id, piece.label) and _reaches(last, piece, merge_gap):
            end, score = max(last.end, piece.end), max(last.score, piece.score)
            joined[-1] = replace(last, end=end, score=score)
        else:
            joined.append(piece)
    kept = (event for event in joined if event.end - event.start >= min_duration)
    return tuple(sorted(kept, key=lambda event: (event.start, -event.score)))


def _reaches(last: Event, piece: Event, merge_gap: float) -> bool:
    return piece.start <= last.end or piece.start - last.end < merge_gap


def _true_runs(on: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The first index of each run of true values, and the one after its last."""
    changes = np.flatnonzero(np.diff(on, prepend=False, append=False))
    return zip(changes[::2], changes[1::2], strict=True)
