"""Many recordings through one tagger: none costs another, and each is accounted for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from audio_files import noise, write

from diffres_cli import load_tagger
from diffres_cli.audio import find_recordings, open_recording
from diffres_cli.batch.job import LONGEST_DRAWN, Summary, is_drawable, tag_all
from diffres_cli.errors import AudioError, OutputError, UsageError
from diffres_cli.outputs import make_writer
from diffres_cli.outputs.sink import Sink
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.tagger import Settings, Tagger

DEFAULTS = Settings()


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Good, bad, good: and what is read last ends early."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    write(folder / "a.wav", noise(1))
    (folder / "b.wav").write_text("a diary")
    write(folder / "c.wav", noise(1))
    whole = write(folder / "d.wav", noise(2))
    whole.write_bytes(whole.read_bytes()[: 44 + 22050 * 2])
    return folder


def lines(
    tagger: Tagger, found: list[Path | AudioError], settings: Settings = DEFAULTS, **how: Any
) -> tuple[Summary, list[str]]:
    out = io.BytesIO()
    summary = tag_all(tagger, found, settings, make_writer("jsonl"), Sink(out, "test"), **how)
    return summary, out.getvalue().decode().splitlines()


def test_a_bad_recording_costs_itself_only(tagger: Tagger, mixed: Path) -> None:
    summary, written = lines(tagger, list(find_recordings([mixed, "nowhere.wav"])))
    assert [name in line for name, line in zip("acd", written, strict=True)] == [True] * 3
    assert summary.done == 3
    assert summary.failures == [
        f"{mixed}/b.wav: a text file, not audio",
        "nowhere.wav: no such file or folder",
    ]
    assert summary.exit_code == 1


def test_what_was_odd_is_told_with_the_files_name(tagger: Tagger, mixed: Path) -> None:
    summary, _ = lines(tagger, [mixed / "d.wav"])
    assert summary.warnings == [f"{mixed}/d.wav: the header promises 2.00 s, 1.00 s could be read"]
    assert summary.exit_code == 0


def test_the_exit_code_says_how_it_went() -> None:
    assert Summary().exit_code == 0
    assert Summary(done=2).exit_code == 0
    assert Summary(done=2, failures=["x"]).exit_code == 1
    assert Summary(failures=["x"]).exit_code == 3


def test_progress_counts_up_to_the_whole_recording(tagger: Tagger, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(2.5))
    seen: list[tuple[Path, float, float | None]] = []
    lines(tagger, [path], Settings(window=1), on_window=lambda *step: seen.append(step))
    assert seen == [(path, 1.0, 2.5), (path, 2.0, 2.5), (path, 2.5, 2.5)]


def test_spectrograms_are_kept_for_those_who_ask(tagger: Tagger, mixed: Path) -> None:
    done: list[Prediction] = []
    found: list[Path | AudioError] = [mixed / "a.wav", mixed / "c.wav"]
    lines(
        tagger,
        found,
        wants_spectrogram=lambda recording: recording.name.endswith("c.wav"),
        on_done=done.append,
    )
    assert [prediction.windows[0].spectrogram is not None for prediction in done] == [False, True]


def test_whoever_wants_to_know_is_given_the_exception(tagger: Tagger, mixed: Path) -> None:
    failures: list[Exception] = []
    lines(tagger, [mixed / "b.wav"], on_failure=failures.append)
    assert [type(error) for error in failures] == [AudioError]


def test_what_nobody_expected_costs_no_other_recording(tagger: Tagger, mixed: Path) -> None:
    def stumble(path: Path, *_: object) -> None:
        if path.name == "a.wav":
            raise ZeroDivisionError("division by zero")

    summary, written = lines(tagger, [mixed / "a.wav", mixed / "c.wav"], on_window=stumble)
    assert len(written) == 1
    assert summary.failures == [
        f"{mixed}/a.wav: unexpected ZeroDivisionError: division by zero (--debug shows where)"
    ]


def test_settings_out_of_range_are_nobodys_recording(tagger: Tagger, mixed: Path) -> None:
    with pytest.raises(UsageError, match="fps 1000"):
        lines(tagger, [mixed / "a.wav"], Settings(fps=1000))


def test_output_that_cannot_be_written_ends_the_run(tagger: Tagger, mixed: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OutputError, match="No space left"):
        tag_all(tagger, [mixed / "a.wav"], Settings(), make_writer("jsonl"), Sink(full, "/dev/full"))


def test_a_recording_is_drawable_up_to_ten_minutes(tmp_path: Path) -> None:
    for seconds, drawable in ((LONGEST_DRAWN, True), (LONGEST_DRAWN + 1, False)):
        path = write(tmp_path / "a.wav", noise(seconds, rate=1000), 1000)
        with open_recording(path) as recording:
            assert is_drawable(recording) == drawable
