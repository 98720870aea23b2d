"""`--fps auto`: which windows are tagged again, at which rate, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from diffres_cli import adaptive
from diffres_cli.adaptive import Effort, is_sure
from diffres_cli.cli.main import run
from diffres_cli.prediction import Pass, Prediction, WindowPrediction
from diffres_cli.tagger import Tagger, load_tagger

RATE = 32_000
EXAMPLES = Path(__file__).parents[1] / "examples"
SURE, UNSURE = EXAMPLES / "whistling.flac", EXAMPLES / "rain.ogg"


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger(threads=1)


@pytest.fixture(scope="module")
def both(tagger: Tagger) -> np.ndarray:
    """A window the model is sure of, then one it is not: 5 s each."""
    import soundfile

    parts = [soundfile.read(path, frames=5 * RATE, dtype="float32")[0] for path in (SURE, UNSURE)]
    assert {soundfile.info(path).samplerate for path in (SURE, UNSURE)} == {RATE}
    return np.concatenate([np.pad(part, (0, 5 * RATE - len(part))) for part in parts])


def rates(prediction: Prediction) -> list[list[float]]:
    return [[each.fps for each in window.passes] for window in prediction.windows]


def test_only_doubtful_windows_are_tagged_again(tagger: Tagger, both: np.ndarray) -> None:
    prediction = tagger.tag(both, RATE, fps="auto", window=5)
    assert rates(prediction) == [[25], [25, 100]]
    for window, low, full in zip(
        prediction.windows,
        tagger.tag(both, RATE, fps=25, window=5).windows,
        tagger.tag(both, RATE, fps=100, window=5).windows,
        strict=True,
    ):
        expected = low if is_sure(low.probabilities) else full
        assert np.array_equal(window.probabilities, expected.probabilities)
        assert window.spectrogram is not None
        assert expected.spectrogram is not None
        assert np.array_equal(window.spectrogram.edges, expected.spectrogram.edges)
        assert np.array_equal(window.spectrogram.merged, expected.spectrogram.merged)


def test_the_rule_looks_at_the_labels_that_were_asked_for(tagger: Tagger, both: np.ndarray) -> None:
    free = tagger.tag(both, RATE, fps="auto", window=5)
    names = [window.labels[0].label for window in free.windows]
    assert rates(tagger.tag(both, RATE, fps="auto", window=5, labels=names[:1])) == [[25], [25]]
    unlikely = ("Cowbell", "Harpsichord")  # neither scores, so neither leads
    assert rates(tagger.tag(both, RATE, fps="auto", window=5, labels=unlikely)) == [[25, 100], [25, 100]]


def test_a_fixed_rate_is_one_run(tagger: Tagger, both: np.ndarray) -> None:
    prediction = tagger.tag(both, RATE, fps=25, window=5)
    assert rates(prediction) == [[25], [25]]
    assert all(window.passes[0].seconds > 0 for window in prediction.windows)
    assert prediction.rates == "25 fps"
    assert Effort.of(prediction) == Effort()


def test_a_batch_is_what_its_windows_are_alone(tagger: Tagger, both: np.ndarray) -> None:
    """On a GPU several windows run at once; the doubtful ones among them again, and only they."""
    waveform = np.stack([both[: 5 * RATE], both[5 * RATE :], both[: 5 * RATE]])
    together = adaptive.listen(tagger._runtime, waveform, "auto", ["probabilities", "importance"])
    assert [len(heard.passes) for heard in together] == [1, 2, 1]
    for row, heard in enumerate(together):
        (alone,) = adaptive.listen(tagger._runtime, waveform[row : row + 1], "auto", ["probabilities"])
        np.testing.assert_allclose(heard.values["probabilities"], alone.values["probabilities"], atol=1e-5)
        assert heard.slots == alone.slots == round(heard.values["importance"].sum())


def test_the_rates_stay_within_what_a_model_serves(tagger: Tagger) -> None:
    from dataclasses import replace

    assert adaptive.rates("auto", tagger.card) == (25, 100)
    assert adaptive.rates("auto", replace(tagger.card, minimum_fps=40, maximum_fps=80)) == (40, 80)
    assert adaptive.rates(33, tagger.card) == (33,)


@pytest.mark.parametrize(
    ("scores", "sure"), [([0.0, 0.0], False), ([0.9, 0.1], True), ([0.1, 0.9], True), ([0.9, 0.8], False)]
)
def test_sure_is_a_lead(scores: list[float], sure: bool) -> None:
    assert is_sure(np.array(scores, np.float32)) is sure


def test_what_full_rate_would_have_taken_is_told_from_the_windows_redone() -> None:
    def window(*seconds: float) -> WindowPrediction:
        passes = tuple(Pass(fps, each) for fps, each in zip((25.0, 100.0), seconds, strict=False))
        return WindowPrediction(0.0, 1.0, (), np.zeros(2, np.float32), passes=passes)

    def recording(*windows: WindowPrediction) -> Prediction:
        return Prediction("a.wav", 1.0, RATE, "audioset-small", "auto", 0.1, (), windows)

    # Full rate takes twice as long: 8 + 2 + 2 s would have been 2 (4 + 1 + 1); 4 + 1 + 1 + 2 were taken.
    effort = Effort.of(recording(window(4.0))) + Effort.of(recording(window(1.0, 2.0), window(1.0)))
    assert effort.share == pytest.approx(1 / 3)
    assert effort.ratio == pytest.approx(8 / 12)
    assert str(effort) == (
        "1 of 3 windows (33%) redone at full rate, 8.00 s in the model, about 33% less than all at full rate"
    )
    assert str(Effort.of(recording(window(4.0)))) == "0 of 1 windows (0%) redone at full rate"
    assert recording(window(1.0, 2.0), window(1.0)).rates == "25-100 fps"


# --- on the command line


def test_the_record_says_which_rate_gave_each_windows_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tag", "--fps", "auto", "-f", "json", str(SURE), str(UNSURE)]) == 0
    said = capsys.readouterr()
    records = json.loads(said.out)
    assert [record["fps"] for record in records] == ["auto", "auto"]
    assert [[window["fps"] for window in record["windows"]] for record in records] == [[25], [100]]
    assert "--fps auto: 1 of 2 windows (50%) redone at full rate, " in said.err


def test_a_table_has_the_rate_of_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tag", "--fps", "auto", "-q", "-f", "csv", str(SURE), str(UNSURE)]) == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert {(Path(row["file"]).name, row["fps"]) for row in rows} == {
        ("whistling.flac", "25.0"),
        ("rain.ogg", "100.0"),
    }
    assert said.err == ""


def test_a_picture_names_the_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["viz", "--terminal", "--fps", "auto", str(UNSURE)]) == 0
    assert "100 fps" in capsys.readouterr().out
    assert run(["viz", "--fps", "25,auto", "-o", str(tmp_path / "rates.svg"), str(SURE)]) == 0
