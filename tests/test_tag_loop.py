"""Many recordings through one tagger: none costs another, and each is accounted for."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from audio_files import noise, write

from diffres_cli.audio import find_files, open_recording
from diffres_cli.batch.plan import Task
from diffres_cli.batch.run import Summary, local_engine, tag_all
from diffres_cli.batch.stream import StreamResults
from diffres_cli.batch.work import MAX_DRAWN_SECONDS, Failure, Setup, is_drawable
from diffres_cli.errors import AudioError, OutputError, UsageError
from diffres_cli.files import atomic_file
from diffres_cli.outputs.sink import Sink
from diffres_cli.tagging.tagger import Settings

SETUP = Setup("audioset-small", Settings())
OnWindow = Callable[[str, float, float | None], None]


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


def run(
    found: list[Path | AudioError], setup: Setup = SETUP, on_window: OnWindow | None = None
) -> tuple[Summary, list[str]]:
    """The summary, and the lines of JSON."""
    out, summary = io.BytesIO(), Summary()
    items = [item if isinstance(item, AudioError) else Task(str(item), str(item)) for item in found]
    engine = local_engine(setup, 1, on_window=on_window)
    tag_all(items, engine, nullcontext(StreamResults(Sink(out), "jsonl")), summary)
    return summary, out.getvalue().decode().splitlines()


def messages(summary: Summary) -> list[str]:
    return [failure.message for failure in summary.failures]


def test_a_bad_recording_costs_itself_only(mixed: Path) -> None:
    summary, written = run(list(find_files(["nowhere.wav", mixed])))
    assert [name in line for name, line in zip("acd", written, strict=True)] == [True] * 3
    assert summary.done == 3
    assert messages(summary) == [
        "nowhere.wav: no such file or folder",
        f"{mixed}/b.wav: a text file, not audio",
    ]
    assert summary.exit_code == 1


def test_what_was_odd_is_told_with_the_files_name(mixed: Path) -> None:
    summary, _ = run([mixed / "d.wav"])
    text = f"{mixed}/d.wav: the header promises 2.00 s, 1.00 s could be read"
    assert summary.warnings == [(f"{mixed}/d.wav", text)]
    assert summary.exit_code == 0


def test_the_exit_code_says_how_it_went() -> None:
    failures = [Failure("x", "x: bad")]
    assert Summary().exit_code == 0
    assert Summary(done=2).exit_code == 0
    assert Summary(done=2, failures=failures).exit_code == 1
    assert Summary(skipped=2, failures=failures).exit_code == 1
    assert Summary(failures=failures).exit_code == 3


def test_progress_counts_up_to_the_whole_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(2.5))
    seen: list[tuple[str, float, float | None]] = []
    run([path], Setup("audioset-small", Settings(window=1)), lambda *step: seen.append(step))
    assert seen == [(str(path), 1.0, 2.5), (str(path), 2.0, 2.5), (str(path), 2.5, 2.5)]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_spectrogram_is_kept_where_it_is_asked_for(mixed: Path, wanted: bool) -> None:
    summary, _ = run([mixed / "a.wav"], Setup("audioset-small", Settings(), spectrogram=wanted))
    drawable = summary.drawable
    assert (drawable is not None and drawable.windows[0].spectrogram is not None) == wanted


def test_a_failure_knows_where_it_was_raised(mixed: Path) -> None:
    summary, _ = run([mixed / "b.wav"])
    trace = summary.failures[0].trace
    assert trace.startswith("Traceback (most recent call last):")
    assert "AudioError" in trace


def test_what_nobody_expected_costs_no_other_recording(mixed: Path) -> None:
    def stumble(path: str, *_: object) -> None:
        if path.endswith("a.wav"):
            raise ZeroDivisionError("division by zero")

    summary, written = run([mixed / "a.wav", mixed / "c.wav"], on_window=stumble)
    assert len(written) == 1
    [message] = messages(summary)
    assert message.startswith(f"{mixed}/a.wav: unexpected ZeroDivisionError: division by zero (")


def test_settings_out_of_range_are_nobodys_recording(mixed: Path) -> None:
    with pytest.raises(UsageError, match="fps 1000"):
        run([mixed / "a.wav"], Setup("audioset-small", Settings(fps=1000)))


def test_output_that_cannot_be_written_ends_the_run(mixed: Path) -> None:
    task, engine = Task(str(mixed / "a.wav"), "a.wav"), local_engine(SETUP, 1)
    with pytest.raises(OutputError, match="No space left"), atomic_file(Path("/dev/full")) as full:
        tag_all([task], engine, nullcontext(StreamResults(Sink(full), "jsonl")), Summary())


def test_a_recording_is_drawable_up_to_ten_minutes(tmp_path: Path) -> None:
    for seconds, drawable in ((MAX_DRAWN_SECONDS, True), (MAX_DRAWN_SECONDS + 1, False)):
        path = write(tmp_path / "a.wav", noise(seconds, rate=1000), 1000)
        with open_recording(path) as recording:
            assert is_drawable(recording) == drawable
