"""Audacity's, Raven's and Praat's files: by Praat itself, and by the rules of the other two."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import parselmouth
import pytest
from format_records import SILENT, STRANGE, tagged, written
from hypothesis import given
from hypothesis import strategies as st
from parselmouth.praat import call

from diffres_cli.outputs.textgrid import intervals
from diffres_cli.outputs.writer import LabelSpan, label_spans


def audacity_labels(data: bytes) -> list[tuple[float, float, str]]:
    """What Audacity's import makes of a file (LabelTrack.cpp), without its leniency.

    Lines end with LF, CR or both; tabs separate fields, several as one; a third field is the title, any
    further one is lost; a line that begins with a backslash belongs to the label before it.
    """
    found = []
    for line in data.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        assert not line.startswith("\\"), "read as the frequencies of the label before"
        fields = [field for field in line.split("\t") if field]
        assert len(fields) == 3, f"one start, one end, one title: {fields}"
        start, end = (float(field) for field in fields[:2])
        assert all(len(field.partition(".")[2]) == 6 for field in fields[:2])
        found.append((start, end, fields[2]))
    return found


@pytest.mark.parametrize("asked", ["windows", "events"])
def test_audacity_reads_every_label(asked):
    for one in tagged(asked):
        expected = [(row.start, row.end, f"{row.label} {row.score:.4f}") for row in label_spans(one)]
        assert audacity_labels(written("audacity", one)) == expected


def test_no_label_breaks_an_audacity_line():
    ((start, end, title),) = audacity_labels(written("audacity", STRANGE))
    assert (start, end) == (0.0, 10.0)
    assert title == 'Say "hi"\\tor\\r\\nbye\\u2028, Grüße 🔔 0.7500'
    assert written("audacity", SILENT) == b""


def raven_rows(data: bytes) -> list[dict[str, str]]:
    reader = csv.DictReader(
        io.StringIO(data.decode("utf-8", "surrogateescape")), delimiter="\t", quoting=csv.QUOTE_NONE
    )
    found = list(reader)
    assert all(None not in row and None not in row.values() for row in found)  # as many fields as columns
    return found


@pytest.mark.parametrize("asked", ["windows", "events"])
def test_raven_reads_every_selection(asked):
    table = raven_rows(written("raven", *tagged(asked)))
    expected = [(one, row) for one in tagged(asked) for row in label_spans(one)]
    assert [int(row["Selection"]) for row in table] == list(range(1, len(expected) + 1))
    for found, (one, row) in zip(table, expected, strict=True):
        assert (found["View"], found["Channel"]) == ("Spectrogram 1", "1")
        assert (found["Label"], float(found["Score"])) == (row.label, row.score)
        assert (float(found["Low Freq (Hz)"]), float(found["High Freq (Hz)"])) == (0, one["sample_rate"] / 2)
        assert (found["Begin File"], found["Begin Path"]) == (Path(one["file"]).name, one["file"])
        assert float(found["File Offset (s)"]) == row.start
        assert float(found["Begin Time (s)"]) < float(found["End Time (s)"])


def test_raven_times_run_through_the_recordings_as_if_joined():
    table = raven_rows(written("raven", *tagged("windows")))
    before = {
        one["file"]: sum(o["duration"] for o in tagged("windows")[:i])
        for i, one in enumerate(tagged("windows"))
    }
    for row in table:
        offset = float(row["Begin Time (s)"]) - float(row["File Offset (s)"])
        assert offset == pytest.approx(before[row["Begin Path"]], abs=1e-6)


def test_no_name_breaks_a_raven_row():
    (row,) = raven_rows(written("raven", STRANGE))
    assert row["Begin File"] == "caf\udce9\\t1.wav"
    assert row["Label"] == 'Say "hi"\\tor\\r\\nbye\\u2028, Grüße 🔔'


def praat_tiers(data: bytes, folder: Path) -> dict[str, list[tuple[float, float, str]]]:
    """A TextGrid as Praat itself reads it: name of each tier -> (start, end, text) of its intervals."""
    (folder / "a.TextGrid").write_bytes(data)
    grid = parselmouth.read(str(folder / "a.TextGrid"))
    tiers = {}
    for tier in range(1, call(grid, "Get number of tiers") + 1):
        name = call(grid, "Get tier name", tier)
        assert name not in tiers
        tiers[name] = [
            (
                call(grid, "Get start time of interval", tier, i),
                call(grid, "Get end time of interval", tier, i),
                call(grid, "Get label of interval", tier, i),
            )
            for i in range(1, call(grid, "Get number of intervals", tier) + 1)
        ]
    return tiers


@pytest.mark.parametrize("asked", ["windows", "events"])
def test_praat_reads_a_tier_a_label_without_gaps(asked, tmp_path):
    for one in tagged(asked):
        tiers = praat_tiers(written("textgrid", one), tmp_path)
        assert list(tiers) == list(dict.fromkeys(row.label for row in label_spans(one)))
        for name, found in tiers.items():
            assert (found[0][0], found[-1][1]) == (0.0, one["duration"])
            assert all(end == start for (_, end, _), (start, _, _) in pairwise(found))
            for row in label_spans(one):
                if row.label == name:  # heard there at least as strongly
                    texts = [text for start, end, text in found if start < row.end and row.start < end]
                    assert texts
                    assert all(float(text) >= float(f"{row.score:.4f}") for text in texts)


def test_praat_reads_the_events_themselves(tmp_path):
    for one in tagged("events"):
        tiers = praat_tiers(written("textgrid", one), tmp_path)
        found = {
            (name, start, end, text) for name, tier in tiers.items() for start, end, text in tier if text
        }
        assert found == {(row.label, row.start, row.end, f"{row.score:.4f}") for row in label_spans(one)}


def test_praat_reads_quotes_tabs_and_letters_of_any_script(tmp_path):
    tiers = praat_tiers(written("textgrid", STRANGE), tmp_path)
    assert tiers == {'Say "hi"\\tor\\r\\nbye\\u2028, Grüße 🔔': [(0.0, 10.0, "0.7500")]}


def test_praat_reads_a_recording_in_which_nothing_was_heard(tmp_path):
    assert praat_tiers(written("textgrid", SILENT), tmp_path) == {}


@st.composite
def overlapping(draw: st.DrawFn) -> list[LabelSpan]:
    starts = draw(st.lists(st.integers(0, 30), max_size=8))
    return [
        LabelSpan(
            float(a), float(a + draw(st.integers(0, 9))), "Dog", "d", draw(st.sampled_from([0.25, 0.5, 0.75]))
        )
        for a in starts
    ]


@given(overlapping(), st.integers(1, 32))
def test_a_tier_says_at_every_moment_what_the_best_span_there_says(found, duration):
    tier = list(intervals(found, float(duration)))
    assert (tier[0][0], tier[-1][1]) == (0.0, duration)
    assert all(a[1] == b[0] for a, b in pairwise(tier))
    assert all(start < end for start, end, _ in tier)
    assert not any(a[2] is None and b[2] is None for a, b in pairwise(tier))
    for time in np.arange(0.5, duration):
        (said,) = [score for start, end, score in tier if start <= time < end]
        assert said == max((row.score for row in found if row.start <= time < row.end), default=None)


# --- RTTM


@pytest.mark.parametrize("asked", ["windows", "events"])
def test_rttm_has_ten_fields_for_every_label(asked):
    lines = written("rttm", *tagged(asked)).decode().splitlines()
    expected = [(one, span) for one in tagged(asked) for span in label_spans(one)]
    for line, (one, span) in zip(lines, expected, strict=True):
        kind, file, channel, start, duration, *unused, label, confidence, ahead = line.split(" ")
        assert (kind, file, channel, label) == (
            "SPEAKER", Path(one["file"]).stem, "1", "_".join(span.label.split())
        )  # fmt: skip
        assert (float(start), float(start) + float(duration)) == pytest.approx((span.start, span.end))
        assert {*unused, confidence, ahead} == {"<NA>"}


def test_rttm_names_the_channel_and_no_name_breaks_a_line():
    (line,) = written("rttm", STRANGE | {"channel": 2}).decode("utf-8", "surrogateescape").splitlines()
    assert line.split(" ")[1:3] == ["caf\udce9\\t1", "2"]
    assert line.split(" ")[7] == 'Say_"hi"\\tor\\r\\nbye\\u2028,_Grüße_🔔'
    assert written("rttm", SILENT) == b""
