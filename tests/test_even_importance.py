"""Where importance is even: one definition, from the model's curve to what `tag` says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, write
from command import EXAMPLES, invoke
from hypothesis import given
from hypothesis import strategies as st

from diffres_cli import load_tagger
from diffres_cli.arrays import Floats
from diffres_cli.tagging.prediction import Prediction, is_even

RATE = 32_000
TELEPHONE = EXAMPLES / "telephone.ogg"  # rings between silences: never even
SILENCE = np.zeros(10 * RATE, np.float32)  # nothing tells its frames apart: always even
NOISE = np.random.default_rng(0).normal(0, 0.1, 7 * RATE).astype(np.float32)


def quantile(values: list[float], share: float) -> float:
    """The value below which a share lies, linear between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    lower, upper = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
    return lower + (place - int(place)) * (upper - lower)


def is_even_slowly(importance: Floats) -> bool:
    values = importance.astype(float).tolist()
    return quantile(values, 0.95) - quantile(values, 0.05) < 0.1 * sum(values) / len(values)


def tagged(source: Path | Floats, fps: float = 25, **settings: float) -> Prediction:
    rate = None if isinstance(source, Path) else RATE
    return load_tagger().tag(source, rate, fps=fps, importance=True, **settings)


@given(st.integers(1, 60), st.floats(0.0, 0.3), st.integers(0, 99))
def test_even_is_a_range_of_less_than_a_tenth_of_the_mean(frames: int, spread: float, seed: int) -> None:
    importance = 0.5 + spread * (np.random.default_rng(seed).random(frames) - 0.5)
    assert is_even(importance.astype(np.float32)) == is_even_slowly(importance.astype(np.float32))


def test_a_few_frames_at_the_ends_make_no_difference() -> None:
    importance = np.full(1000, 0.25, np.float32)
    importance[[0, 1, -1]] = 0.9
    assert is_even(importance)


@pytest.mark.parametrize("source", [TELEPHONE, EXAMPLES / "rain.ogg", SILENCE, NOISE], ids=repr)
@pytest.mark.parametrize("fps", [25, 50])
def test_each_window_and_the_whole_say_what_their_curves_show(source: Path | Floats, fps: float) -> None:
    prediction = tagged(source, fps, window=2.0)
    expected = [is_even_slowly(window.importance) for window in prediction.windows]
    assert [window.importance_is_even for window in prediction.windows] == expected
    assert prediction.importance_is_even == all(expected)
    record = prediction.to_dict()
    assert [window["importance_is_even"] for window in record["windows"]] == expected
    assert record["importance_is_even"] == all(expected)


def test_silence_is_even_and_rings_between_silences_are_not() -> None:
    assert tagged(SILENCE).importance_is_even is True
    assert tagged(TELEPHONE).importance_is_even is False


@pytest.mark.parametrize("source", [TELEPHONE, SILENCE], ids=["telephone", "silence"])
def test_at_full_rate_there_is_nothing_to_say(source: Path | Floats) -> None:
    prediction = tagged(source, fps=100)
    assert prediction.importance_is_even is None
    assert "importance_is_even" not in json.dumps(prediction.to_dict())


def test_it_is_known_without_the_curve() -> None:
    lean = load_tagger().tag(SILENCE, RATE, fps=25, spectrogram=False)
    assert lean.importance_is_even is True
    assert "importance_is_even" not in lean.to_dict()["windows"][0]


def test_tag_says_it_beside_the_name_and_not_at_full_rate(tmp_path: Path) -> None:
    names = [tmp_path / "silence.wav", tmp_path / "noise.wav", TELEPHONE]
    write(names[0], np.zeros((10 * RATE, 1)), RATE)
    write(names[1], noise(4), RATE)
    records = json.loads(invoke("tag", *names, "-f", "json").out)
    table = invoke("tag", *names).out.splitlines()
    for name, record in zip(names, records, strict=True):
        (heading,) = [line for line in table if line.startswith(str(name))]
        assert ("merged evenly" in heading) == record["importance_is_even"]
    assert [record["importance_is_even"] for record in records[::2]] == [True, False]
    assert "merged evenly" not in invoke("tag", *names, "--fps", "100").out
