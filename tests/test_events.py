"""Framewise scores -> events: made windows against slow references, and sounds whose times are known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import invoke
from hypothesis import given
from hypothesis import strategies as st

from diffres_cli import Tagger, load_tagger
from diffres_cli.errors import UsageError
from diffres_cli.inference.timing import column_times
from diffres_cli.tagging.events import find_runs, join_events
from diffres_cli.tagging.labels import top_classes
from diffres_cli.tagging.prediction import Event, WindowPrediction
from diffres_cli.tagging.settings import Settings

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(ROOT / "scripts"))  # scripts are run, not installed

from examples.struck import RINGS  # noqa: E402

RINGING = ("Telephone bell ringing", "Ringtone", "Telephone")
LABELS = ("Dog", "Cat", "Rain")  # of made pieces; a window's are the model's first classes


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


@pytest.fixture(scope="module")
def card(tagger):
    return tagger.card


@st.composite
def pieces(draw: st.DrawFn) -> list[Event]:
    """Runs on a grid of a quarter second: exact in floats, and often touching."""
    count = draw(st.integers(0, 12))
    found = []
    for _ in range(count):
        start, length = draw(st.integers(0, 40)), draw(st.integers(1, 8))
        label = draw(st.sampled_from(LABELS))
        found.append(Event(label, label[0], start / 4, (start + length) / 4, draw(st.floats(0, 1))))
    return found


def join_slowly(found: list[Event], merge_gap: float, min_duration: float) -> set[Event]:
    """Any two of a label that touch, or are too near, become one, until there are no such two."""
    events = list(found)
    while pair := next(((a, b) for a in events for b in events if a is not b and one(a, b, merge_gap)), None):
        a, b = pair
        events = [event for event in events if event is not a and event is not b]
        joined = Event(a.label, a.id, min(a.start, b.start), max(a.end, b.end), max(a.score, b.score))
        events.append(joined)
    return {event for event in events if event.end - event.start >= min_duration}


def one(a: Event, b: Event, merge_gap: float) -> bool:
    apart = max(a.start, b.start) - min(a.end, b.end)
    return a.label == b.label and (apart <= 0 or apart < merge_gap)


@given(pieces(), st.integers(0, 8), st.integers(0, 12))
def test_joining_equals_merging_pair_by_pair(found, gap, least):
    events = join_events(found, gap / 4, least / 4)
    assert set(events) == join_slowly(found, gap / 4, least / 4)
    assert len(set(events)) == len(events)


@given(pieces(), st.integers(0, 8), st.integers(0, 12))
def test_events_are_in_order_apart_and_long_enough(found, gap, least):
    events = join_events(found, gap / 4, least / 4)
    assert [event.start for event in events] == sorted(event.start for event in events)
    assert all(event.end - event.start >= least / 4 for event in events)
    for label in LABELS:
        spans = [(event.start, event.end) for event in events if event.label == label]
        assert all(end < start and start - end >= gap / 4 for (_, end), (start, _) in pairwise(spans))


def test_the_order_of_the_pieces_does_not_matter():
    found = [Event("Dog", "d", start, start + 1, 0.5) for start in (3.0, 0.0, 2.5, 9.0)]
    assert join_events(found) == join_events(reversed(found))


def made_window(scores: np.ndarray, start: float, times: np.ndarray) -> WindowPrediction:
    return WindowPrediction(
        start, float(times[-1]), (), scores.max(0), framewise=scores, framewise_times=times
    )


@st.composite
def windows(draw: st.DrawFn) -> list[tuple[WindowPrediction, np.ndarray]]:
    """Windows of 4 s every 3, columns of uneven length, and the classes each of them admits."""
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    found = []
    for number in range(draw(st.integers(1, 4))):
        start, columns = 3.0 * number, draw(st.integers(1, 8))
        inside = np.sort(generator.uniform(start, start + 4, columns - 1))
        times = np.array([start, *inside, start + 4])
        scores = generator.uniform(0, 1, (columns, 3)).astype(np.float32)
        found.append((made_window(scores, start, times), np.flatnonzero(generator.random(3) < 0.7)))
    return found


def heard(made: list[tuple[WindowPrediction, np.ndarray]], index: int, time: float) -> float:
    """The largest score of a class at a moment, in any window that admits it; -1 where none does."""
    scores = [-1.0]
    for window, classes in made:
        for k, (start, end) in enumerate(pairwise(window.framewise_times)):
            if index in classes and start <= time < end:
                scores.append(float(window.framewise[k, index]))
    return max(scores)


@given(windows(), st.sampled_from([0.125, 0.5, 0.875]))
def test_an_event_is_where_any_window_hears_the_label(card, made, threshold):
    events = join_events(
        event for window, classes in made for event in find_runs(window, classes, card, threshold)
    )
    points = sorted({float(time) for window, _ in made for time in window.framewise_times})
    for index in range(3):
        mine = [event for event in events if event.label == card.classes[index]]
        for start, end in pairwise(points):
            score = heard(made, index, (start + end) / 2)
            there = [event for event in mine if event.start <= start and end <= event.end]
            assert bool(there) == (score >= threshold)
            assert not there or there[0].score >= score
        for event in mine:
            inside = [
                heard(made, index, (a + b) / 2) for a, b in pairwise(points) if event.start <= a < event.end
            ]
            assert event.score == max(inside)


def test_a_column_covers_thirty_two_output_frames():
    edges = np.cumsum(np.random.default_rng(0).uniform(0, 0.1, 101))
    times = column_times(edges, 4)
    assert times.tolist() == [edges[0], edges[32], edges[64], edges[96], edges[100]]
    assert column_times(edges[:33], 1).tolist() == [edges[0], edges[32]]
    assert column_times(edges[:9], 1).tolist() == [edges[0], edges[8]]


@pytest.mark.parametrize("fps", [25, 50, 100])
def test_both_rings_of_the_telephone_are_found(tagger, fps):
    events = tagger.tag(EXAMPLES / "telephone.ogg", fps=fps, spectrogram=False, events=True).events
    for start, end in RINGS:
        assert any(e.label in RINGING and e.start < end and start < e.end for e in events)


def test_at_full_rate_the_silence_between_the_rings_is_silent(tagger):
    options = {"fps": 100, "spectrogram": False, "events": True, "min_confidence": 0.3}
    prediction = tagger.tag(EXAMPLES / "telephone.ogg", **options)
    (_, first_end), (second, _) = RINGS
    quiet = first_end + 1, second - 0.32  # the gongs sound on for almost a second; a column is 0.32 s
    assert not [event for event in prediction.events if event.start < quiet[1] and quiet[0] < event.end]
    # No start or end of a ring may be further off than a column, and its gong's echo.
    found = join_events(replace(e, label="", id="") for e in prediction.events if e.label in RINGING)
    for start, end in RINGS:
        nearest = min(found, key=lambda event, start=start: abs(event.start - start))
        assert abs(nearest.start - start) <= 0.32
        assert abs(nearest.end - end) <= 0.32


def test_events_lie_within_the_recording_and_belong_to_its_windows_labels(tagger):
    for path in sorted(EXAMPLES.glob("*.*g")) + sorted(EXAMPLES.glob("*.flac")):
        prediction = tagger.tag(path, fps=25, spectrogram=False, events=True, window=3, overlap=1)
        labels = {label.label for window in prediction.windows for label in window.labels}
        assert {event.label for event in prediction.events} <= labels
        assert all(0 <= event.start < event.end <= prediction.duration for event in prediction.events)
        assert all(prediction.min_confidence <= event.score <= 1 for event in prediction.events)


@pytest.mark.parametrize("seconds", [30.0, 23.0])  # of the second the last window overlaps the one before
def test_a_sound_that_goes_on_across_windows_is_one_event(tagger, seconds):
    rain, rate = soundfile.read(EXAMPLES / "rain.ogg")
    shower = np.tile(rain, 5)[: round(seconds * rate)]
    options = {"labels": ("Rain on surface",), "min_confidence": 0.003}
    prediction = tagger.tag(shower, rate, spectrogram=False, events=True, **options)
    assert len(prediction.windows) == 3
    assert [event.label for event in prediction.events] == ["Rain on surface"]
    assert (prediction.events[0].start, prediction.events[0].end) == (0.0, seconds)


def test_where_tagging_starts_late_times_are_still_the_recordings(tagger):
    options = {"fps": 100, "spectrogram": False, "events": True, "labels": RINGING}
    late = tagger.tag(EXAMPLES / "telephone.ogg", start=3.0, **options)
    (_, _), (second, end) = RINGS
    assert min(event.start for event in late.events) >= 3.0
    assert any(event.start < end and second < event.end for event in late.events)


def test_events_come_from_the_framewise_scores_a_tagger_gives(tagger):
    sound, options = EXAMPLES / "church_bell.ogg", {"fps": 100, "top_k": 2, "window": 3.0, "overlap": 1.0}
    whole = tagger.tag(sound, framewise=True, spectrogram=True, **options)
    found = [
        event
        for window in whole.windows
        for event in find_runs(window, top_classes(window.probabilities, 2, 0.1), tagger.card, 0.1)
    ]
    assert whole.events is None
    for gap, least in ((0.0, 0.0), (0.7, 0.0), (0.0, 0.5)):
        lean = tagger.tag(sound, spectrogram=False, events=True, merge_gap=gap, min_duration=least, **options)
        assert lean.events == join_events(found, gap, least)
    usual = tagger.tag(sound, spectrogram=False, events=True, **options)
    assert usual.events == join_events(found, 0.5)
    assert len(join_events(found)) > len(join_events(found, 0.0, 0.5)) > len(join_events(found, 0.7)) > 0
    for window in whole.windows:  # the spectrogram's edges, every 32nd
        edges, columns = window.spectrogram.edges.tolist(), len(window.framewise)
        assert window.framewise_times.tolist() == [*edges[: 32 * columns : 32], edges[-1]]


def test_the_command_line_finds_the_events_that_python_finds(tagger):
    sound = EXAMPLES / "smoke_alarm.ogg"
    shown = invoke("tag", sound, "--events", "--window", "3", "--fps", "100", "-f", "json").out
    found = tagger.tag(sound, spectrogram=False, events=True, window=3, fps=100)
    assert json.loads(shown)[0]["events"] == found.to_dict()["events"]
    apart = tagger.tag(sound, spectrogram=False, events=True, window=3, fps=100, merge_gap=0)
    assert len(apart.events) > len(found.events)


def test_only_what_was_asked_for_is_kept(tagger):
    plain = tagger.tag(EXAMPLES / "rain.ogg", spectrogram=False, events=True).windows[0]
    kept = (plain.spectrogram, plain.framewise, plain.framewise_times, plain.importance, plain.embedding)
    assert kept == (None,) * 5
    rich = tagger.tag(EXAMPLES / "rain.ogg", spectrogram=False, importance=True, embeddings=True)
    drawn = tagger.tag(EXAMPLES / "rain.ogg")
    np.testing.assert_array_equal(rich.importance, drawn.importance)
    assert rich.windows[0].importance.shape == (600,)
    assert rich.windows[0].embedding.shape == (384,)
    assert rich.frame_rate == 100.0
    assert drawn.windows[0].importance is None  # it is in the spectrogram


@pytest.mark.parametrize("option", ["merge_gap", "min_duration"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), 1e9])
def test_a_gap_or_duration_out_of_range_is_refused(card, option, value):
    with pytest.raises(UsageError, match=rf"{option} .*: must be 0 to 3600 seconds"):
        Settings(**{option: value}).resolve(card)
