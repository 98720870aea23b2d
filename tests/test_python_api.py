"""What a Python user meets: names, keyword arguments, results, errors, many recordings, a live stream."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import EXAMPLES, invoke

import diffres_cli
from diffres_cli import AudioError, DiffresError, Prediction, SettingError, Tagger, UsageError, load_tagger
from diffres_cli.tagging.many import tag_in_processes

SIREN = EXAMPLES / "siren.ogg"
RATE = 32_000


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


@pytest.fixture(scope="module")
def siren(tagger: Tagger) -> Prediction:
    return tagger.tag(SIREN, window=4.0, importance=True)


def test_every_public_name_is_there() -> None:
    for name in diffres_cli.__all__:
        assert getattr(diffres_cli, name) is not None
        assert name in dir(diffres_cli)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = diffres_cli.nothing


@pytest.mark.parametrize("method", [Tagger.tag, Tagger.tag_many, Tagger.stream])
def test_settings_are_keyword_arguments(method) -> None:
    parameters = inspect.signature(method).parameters.values()
    assert {"fps", "top_k", "min_confidence", "window", "labels"} <= {each.name for each in parameters}
    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters)
    fields = inspect.signature(diffres_cli.Settings).parameters
    for each in parameters:
        if each.name in fields:
            assert each.default == fields[each.name].default


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"fps": 200}, "fps 200: audioset-small serves 20 to 100"),
        ({"fps": "25"}, "fps '25': expected a number"),
        ({"top_k": 2.5}, "top_k 2.5: expected a whole number, at least 1"),
        ({"top_k": True}, "top_k True: expected a whole number"),
        ({"min_confidence": None}, "min_confidence None: expected a number, 0 to 1"),
        ({"window": [1]}, r"window \[1\]: expected a number"),
        ({"start": "now"}, "start 'now': expected a number"),
        ({"duration": 1j}, "duration 1j: expected a number"),
        ({"channel": 1.5}, "channel 1.5: choose mix, each"),
        ({"ranking": "best"}, "ranking best: choose specific or scores"),
        ({"ranking": ["scores"]}, r"ranking \['scores'\]: choose specific or scores"),
        ({"labels": "Dog"}, "labels Dog: expected a list of names"),
        ({"labels": 3}, "labels 3: expected a list of names"),
        ({"labels": ["Dog", 3]}, "labels: .* 3"),
        ({"labels": ["Dogg"]}, "labels: audioset-small has no label 'Dogg' .*'Dog'"),
        ({"labels": []}, "labels: the list is empty; give labels or ids$"),
        ({"top_k": 10**400}, "top_k: the number is too large, expected a whole number, at least 1"),
        ({"fps": 10**400}, "fps: the number is too large"),
        ({"events": "no"}, "events 'no': expected True or False"),
        ({"importance": "no"}, "importance 'no': "),
        ({"embeddings": 1}, "embeddings 1: "),
        ({"spectrogram": "no"}, "spectrogram 'no': "),
        ({"framewise": None}, "framewise None: "),
    ],
)
def test_a_wrong_value_is_refused_by_name(tagger: Tagger, setting: dict, message: str) -> None:
    for call in (tagger.tag, partial(tagger.tag_many, [])):
        with pytest.raises(SettingError, match=f"^{message}"):
            call(*([np.zeros(RATE), RATE] if call == tagger.tag else []), **setting)


@pytest.mark.parametrize(
    "rate", ["32000", 0.5, float("nan"), float("inf"), True, 0, -1, pytest.param(10**400, id="huge")]
)
def test_a_sample_rate_is_a_whole_number_in_range(tagger: Tagger, rate: object) -> None:
    for call in (tagger.tag, tagger.stream):
        with pytest.raises(UsageError, match=r"^sample_rate "):
            call(np.zeros(RATE), rate)


def test_numbers_of_numpy_are_numbers(tagger: Tagger) -> None:
    samples = np.zeros(RATE, np.float32)
    made = tagger.tag(samples, float(RATE), fps=np.float32(25), top_k=np.int64(3), channel=np.int64(1))
    assert json.loads(json.dumps(made.to_dict()))["fps"] == 25
    assert tagger.tag(samples, RATE, spectrogram=np.False_).windows[0].spectrogram is None
    assert tagger.tag(samples, RATE, labels=iter(["Silence"]), min_confidence=0).labels[0].label == "Silence"


@pytest.mark.parametrize(
    "how",
    [
        {"threads": "2"}, {"threads": -1}, {"threads": 2**31}, {"backend": "x"}, {"device": "x"},
        {"fps": "x"}, {"fps": True}, {"fps": 500}, {"offline": "no"},
        {"model": 5}, {"model": None}, {"model": b"audioset-small"},
    ],
)  # fmt: skip
def test_a_wrong_way_to_load_is_refused_by_name(how: dict) -> None:
    ((name, value),) = how.items()
    with pytest.raises(SettingError, match=f"^{name} '?{value}'?: "):
        load_tagger(**how)


# --- results


def test_the_dictionary_is_the_record_of_the_command_line(siren: Prediction) -> None:
    done = invoke("tag", SIREN, "--window", "4", "--importance", "-f", "json")
    assert [siren.to_dict()] == json.loads(done.out)


def test_the_data_frame_has_the_rows_of_the_csv(siren: Prediction) -> None:
    frame = siren.to_pandas()
    lines = list(csv.DictReader(io.StringIO(invoke("tag", SIREN, "--window", "4", "-f", "csv").out)))
    assert [{key: str(row[key]) for key in lines[0]} for row in frame.to_dict("records")] == lines
    held = [value for value in frame["importance"] if isinstance(value, list)]
    assert [len(value) for value in held] == [400, 400]


def test_without_pandas_the_message_says_what_to_install() -> None:
    code = (
        "import sys, diffres_cli; sys.modules['pandas'] = None\n"
        "made = diffres_cli.Prediction('a.wav', 1.0, 8000, 'm', 50.0, 0.1, (), ())\n"
        "try: made.to_pandas()\n"
        "except diffres_cli.MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'pandas'" in done.stdout


def test_a_plot_is_a_figure_and_a_file(siren: Prediction, tmp_path: Path) -> None:
    figure = siren.plot(str(tmp_path / "siren.png"), width=5)
    assert figure.get_figwidth() == siren.plot(width=5).get_figwidth() == 5
    diffres_cli.draw([siren], tmp_path / "same.png", width=5)
    assert (tmp_path / "same.png").read_bytes() == (tmp_path / "siren.png").read_bytes()


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 99}, {"width": "x"}, {"dpi": "x"}, {"dpi": 0}, {"dpi": -5}, {"dpi": float("nan")},
        {"dpi": 10**9}, {"path": 5}, {"path": b"a.png"},
    ],
)  # fmt: skip
def test_a_plot_that_cannot_be_is_refused_by_name(siren: Prediction, wrong: dict) -> None:
    with pytest.raises(SettingError, match=f"^{next(iter(wrong))} .*: .*(must be|expected) "):
        siren.plot(**wrong)


def test_what_is_shown_in_a_shell_is_short(tagger: Tagger, siren: Prediction) -> None:
    shown = [repr(each) for each in (tagger, siren, siren.windows[0], siren.windows[0].spectrogram)]
    assert max(map(len, shown)) < 200
    assert "array" not in " ".join(shown)
    assert "siren.ogg" in shown[1]
    assert "Siren 0." in shown[2]
    assert "mel [128, 400]" in shown[3]


# --- many recordings


@pytest.mark.parametrize("jobs", [None, 2])
def test_many_recordings_are_tagged_in_order_around_bad_ones(
    tagger: Tagger, jobs: int | None, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    paths = [EXAMPLES / "rain.ogg", "missing.wav", bad, SIREN]
    rain, missing, damaged, siren = tagger.tag_many(iter(paths), jobs, fps=25, top_k=2)
    assert isinstance(missing, AudioError)
    assert isinstance(damaged, AudioError)
    assert "missing.wav" in str(missing)
    for found, path in ((rain, paths[0]), (siren, paths[3])):
        assert isinstance(found, Prediction)
        assert found.to_dict() == tagger.tag(path, fps=25, top_k=2).to_dict()


def test_paths_are_taken_as_results_are_asked_for(tagger: Tagger) -> None:
    taken: list[Path] = []

    def paths() -> Iterator[Path]:
        while True:
            taken.append(SIREN)
            yield SIREN

    results = tagger.tag_many(paths(), duration=1.0)
    assert not taken
    assert isinstance(next(results), Prediction)
    assert len(taken) == 1


def test_one_path_is_no_list_of_paths(tagger: Tagger) -> None:
    for paths in ("a.wav", b"a.wav", Path("a.wav"), 5, None):
        with pytest.raises(SettingError, match=r"^paths .*: expected a list of paths"):
            tagger.tag_many(paths)
    for wrong in ({"jobs": 0}, {"channel": "each"}):
        with pytest.raises(SettingError):
            tagger.tag_many([], **wrong)


def _tag_or_die(tagger: object, path: str) -> str:
    if path == "deadly":
        os._exit(3)
    return f"{path} tagged"


def test_a_process_that_dies_costs_its_own_recording_only() -> None:
    paths = ["a", "deadly", "b", "deadly", "deadly", "c"]
    results = list(tag_in_processes(2, dict, _tag_or_die, paths))
    assert [str(result).rpartition(" tagged")[0] or type(result) for result in results] == [
        path if path != "deadly" else AudioError for path in paths
    ]
    assert "exit code 3" in str(results[1])


def _no_model() -> Tagger:
    raise diffres_cli.ModelError("damaged")


def test_a_model_that_does_not_load_ends_it() -> None:
    with pytest.raises(DiffresError, match="damaged"):
        list(tag_in_processes(2, _no_model, _tag_or_die, ["a", "b", "c"]))


# --- a stream


@pytest.mark.parametrize("size", [700, 50_000])
def test_a_stream_has_the_windows_of_the_recording(tagger: Tagger, size: int) -> None:
    samples, rate = soundfile.read(EXAMPLES / "siren.ogg", dtype="float32", always_2d=True)
    blocks = (samples[first : first + size] for first in range(0, len(samples), size))
    whole = tagger.tag(samples, rate, window=3.0, overlap=1.0).windows
    live = list(tagger.stream(blocks, rate, window=3.0, overlap=1.0))
    assert [(each.start, each.end) for each in live] == [(each.start, each.end) for each in whole]
    for each, other in zip(live, whole, strict=True):
        assert np.array_equal(each.probabilities, other.probabilities)


def test_an_endless_stream_is_tagged_as_it_comes(tagger: Tagger) -> None:
    taken = 0

    def microphone() -> Iterator[np.ndarray]:
        nonlocal taken
        generator = np.random.default_rng(0)
        while True:
            taken += 1
            yield generator.integers(-3000, 3000, (1600, 2), dtype=np.int16)  # a tenth of a second

    stream = tagger.stream(microphone(), 16_000, window=1.0, channel=2)
    assert taken == 0
    for second in range(3):
        window = next(stream)
        assert (window.start, window.end) == (second, second + 1)
        assert taken <= 10 * (second + 1) + 6  # half a second more, and what the resampler holds


def test_blocks_that_make_no_stream_are_refused(tagger: Tagger) -> None:
    for blocks in ([], [np.zeros((9, 2)), np.zeros((9, 3))], [np.zeros((2, 2, 2))], [np.zeros(3, complex)]):
        with pytest.raises(AudioError, match=r"^stream: "):
            list(tagger.stream(blocks, 16_000))
    for blocks in (5, None, b"samples", np.array(0.5)):
        with pytest.raises(SettingError, match=r"^blocks .*: expected arrays"):
            tagger.stream(blocks, 16_000)
