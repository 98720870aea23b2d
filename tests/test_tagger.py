"""The whole job in Python: windows, settings, both backends, and real recordings."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from references import warp_by_overlap

from diffres_cli.errors import UsageError
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import Tagger, load_tagger

RATE = 32_000
EXAMPLES = Path(__file__).parents[1] / "examples"
ESC_10 = Path(__file__).parents[2] / "shared" / "data" / "esc-50-part"


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


@pytest.fixture(scope="module")
def torch_tagger() -> Tagger:
    return load_tagger(backend="torch")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose level comes and goes every second or so."""
    samples = round(seconds * RATE)
    level = np.sin(np.arange(samples) / RATE * 3) ** 2
    return (np.random.default_rng(seed).normal(0, 0.3, samples) * level).astype(np.float32)


# --- settings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"fps": 0}, "^fps 0: audioset-small serves 20 to 100"),
        ({"fps": -1}, "^fps -1"),
        ({"fps": 101}, "^fps 101"),
        ({"fps": float("nan")}, "^fps nan"),
        ({"top_k": 0}, "^top_k 0: must be at least 1"),
        ({"min_confidence": -0.1}, "^min_confidence -0.1: must be 0 to 1"),
        ({"min_confidence": 1.5}, "^min_confidence 1.5"),
        ({"min_confidence": float("nan")}, "^min_confidence nan"),
        ({"window": 0.4}, "^window 0.4: must be 0.5 to 3600 seconds"),
        ({"window": 3601}, "^window 3601"),
        ({"window": float("nan")}, "^window nan"),
        ({"overlap": -1}, "^overlap -1: must be 0 to 99 % of the window"),
        ({"overlap": 10}, "^overlap 10"),
        ({"window": 2, "overlap": 1.99}, r"^overlap 1.99: .*\(2 seconds\)"),
        ({"start": -1}, "^start -1"),
        ({"duration": 0}, "^duration 0"),
    ],
)
def test_a_setting_out_of_range_is_named(tagger: Tagger, setting: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tagger.tag(noise(1), RATE, **setting)


def test_unset_settings_are_the_models(tagger: Tagger) -> None:
    chosen = Settings().resolve(tagger.card)
    assert (chosen.fps, chosen.window, chosen.overlap) == (50, 10.0, 0.0)


def test_what_was_asked_for_is_recorded(tagger: Tagger) -> None:
    prediction = tagger.tag(noise(1), RATE, fps=33, min_confidence=0.01)
    assert (prediction.model, prediction.fps, prediction.min_confidence) == ("audioset-small", 33, 0.01)


def test_labels_are_ranked_limited_and_confident(tagger: Tagger) -> None:
    labels = tagger.tag(noise(1), RATE, top_k=3, min_confidence=0.0).labels
    assert len(labels) == 3
    assert sorted(labels, key=lambda label: -label.score) == list(labels)
    floor = labels[1].score
    assert [x.label for x in tagger.tag(noise(1), RATE, min_confidence=floor).labels] == [
        x.label for x in labels[:2]
    ]
    assert tagger.tag(noise(1), RATE, min_confidence=1.0).labels == ()


# --- windows


@pytest.mark.parametrize(
    ("seconds", "window", "overlap", "expected"),
    [
        (1, None, 0, [(0, 1)]),
        (10, None, 0, [(0, 10)]),
        (23, None, 0, [(0, 10), (10, 20), (13, 23)]),
        (20.3, None, 0, [(0, 10), (10, 20.3)]),  # 0.3 s are too short to stand alone
        (7, 3, 0, [(0, 3), (3, 6), (4, 7)]),
        (7, 3, 1, [(0, 3), (2, 5), (4, 7)]),
    ],
)
def test_windows_lie_where_they_should(
    tagger: Tagger, seconds: float, window: float | None, overlap: float, expected: list[tuple[float, float]]
) -> None:
    prediction = tagger.tag(noise(seconds), RATE, window=window, overlap=overlap)
    np.testing.assert_allclose([(w.start, w.end) for w in prediction.windows], expected, atol=1e-9)
    for view, (start, end) in zip(prediction.edges, expected, strict=True):
        np.testing.assert_allclose((view[0], view[-1]), (start, end))


def test_a_long_recording_is_its_windows(tagger: Tagger) -> None:
    waveform = noise(23)
    together = tagger.tag(waveform, RATE, min_confidence=0)
    slices = [waveform[:320_000], waveform[320_000:640_000], waveform[-320_000:]]
    for window, part in zip(together.windows, slices, strict=True):
        alone = tagger.tag(part, RATE).windows[0]
        assert np.array_equal(window.probabilities, alone.probabilities)
        assert window.spectrogram is not None
        assert alone.spectrogram is not None
        assert np.array_equal(window.spectrogram.importance, alone.spectrogram.importance)
        np.testing.assert_allclose(
            window.spectrogram.edges, alone.spectrogram.edges + window.start, atol=1e-9
        )


def test_a_recordings_scores_are_its_windows_best(tagger: Tagger) -> None:
    prediction = tagger.tag(noise(23), RATE, top_k=527, min_confidence=0)
    best = np.max([window.probabilities for window in prediction.windows], axis=0)
    by_label = {label.label: label.score for label in prediction.labels}
    assert [by_label[name] for name in tagger.card.classes] == best.tolist()


def test_a_part_is_tagged_as_if_cut_out(tagger: Tagger) -> None:
    waveform = noise(9)
    part = tagger.tag(waveform, RATE, start=2.5, duration=4.0).windows
    assert [(window.start, window.end) for window in part] == [(2.5, 6.5)]
    alone = tagger.tag(waveform[80_000:208_000], RATE).windows[0]
    assert np.array_equal(part[0].probabilities, alone.probabilities)


def test_a_part_knows_how_long_the_whole_is(tagger: Tagger) -> None:
    assert tagger.tag(noise(20), RATE, start=2.5, duration=4.0).duration == 20


def test_one_second_is_not_padded_to_ten(tagger: Tagger) -> None:
    short = tagger.tag(noise(1), RATE, fps=50)
    padded = tagger.tag(np.pad(noise(1), (0, 9 * RATE)), RATE, fps=50)
    assert short.importance.shape == (100,)
    assert short.importance.sum() == pytest.approx(50, abs=1e-3)
    assert not np.allclose(short.windows[0].probabilities, padded.windows[0].probabilities, atol=1e-2)


@pytest.mark.parametrize("samples", [1, 3, 319, 15_999])
def test_less_than_half_a_second_is_padded_to_it_and_no_further(tagger: Tagger, samples: int) -> None:
    prediction = tagger.tag(noise(1)[:samples], RATE)
    assert prediction.importance.shape == (50,)
    assert prediction.edges[0][-1] == pytest.approx(samples / RATE)
    assert np.isfinite(prediction.windows[0].probabilities).all()


def test_scores_do_not_depend_on_the_batch(tagger: Tagger) -> None:
    batch = np.stack([noise(2, seed) for seed in range(5)])
    outputs = ("probabilities", "importance", "merged", "framewise")
    together = tagger._runtime.run(batch, 50, outputs)
    for row, waveform in enumerate(batch):
        alone = tagger._runtime.run(waveform[None], 50, outputs)
        for name in outputs:
            # Power has no scale of its own, and a rounding error in the importance moves every later edge.
            close = {"rtol": 3e-5, "atol": 1e-5} if name == "merged" else {"rtol": 1e-6, "atol": 1e-5}
            np.testing.assert_allclose(together[name][row], alone[name][0], err_msg=name, **close)


# --- what DiffRes did


@pytest.mark.parametrize("fps", [20, 50, 87.5, 100])
def test_the_spectrogram_shows_what_was_merged(tagger: Tagger, fps: float) -> None:
    window = tagger.tag(noise(1.7), RATE, fps=fps).windows[0]
    view = window.spectrogram
    assert view is not None
    output_frames = round(1.7 * fps)
    assert view.mel.shape == (128, 170)
    assert view.merged.shape == (128, output_frames)
    assert view.mel_frequencies.shape == (128,)
    assert view.importance.sum() == pytest.approx(output_frames, abs=1e-3)
    np.testing.assert_allclose(view.frame_times, np.arange(170) / 100)
    assert view.edges.shape == (output_frames + 1,)
    warp = warp_by_overlap(view.importance.astype(np.float64), output_frames)
    # The graph warps by float64 importance, and hands it out as float32.
    np.testing.assert_allclose(view.merged, view.mel @ warp.T, rtol=1e-3, atol=1e-5 * view.mel.max())


def test_loud_frames_get_the_resolution(tagger: Tagger) -> None:
    waveform = np.full(4 * RATE, 1e-4, np.float32) * noise(4, 1)
    waveform[RATE : 2 * RATE] += noise(1)
    importance = tagger.tag(waveform, RATE, fps=25).importance
    assert importance[100:200].mean() > 2 * importance[220:].mean()


def test_framewise_scores_are_kept_when_asked_for(tagger: Tagger) -> None:
    framewise = tagger.tag(noise(2), RATE, fps=100, framewise=True).windows[0].framewise
    assert framewise is not None
    assert framewise.shape == (-(-200 // 32), 527)
    assert tagger.tag(noise(2), RATE).windows[0].framewise is None


def test_without_spectrograms_there_is_no_importance(tagger: Tagger) -> None:
    prediction = tagger.tag(noise(1), RATE, spectrogram=False)
    assert prediction.windows[0].spectrogram is None
    with pytest.raises(AttributeError, match="tagged without spectrograms"):
        _ = prediction.importance


@pytest.mark.parametrize("fps", [20, 50, 100])
def test_torch_gives_the_same_numbers(tagger: Tagger, torch_tagger: Tagger, fps: float) -> None:
    assert (torch_tagger.backend, torch_tagger.card) == ("torch", tagger.card)
    waveform = noise(3.21)
    ours = tagger.tag(waveform, RATE, fps=fps, framewise=True).windows[0]
    theirs = torch_tagger.tag(waveform, RATE, fps=fps, framewise=True).windows[0]
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-4)
    np.testing.assert_allclose(ours.framewise, theirs.framewise, atol=1e-4)
    assert ours.spectrogram is not None
    assert theirs.spectrogram is not None
    np.testing.assert_allclose(ours.spectrogram.importance, theirs.spectrogram.importance, atol=1e-4)
    np.testing.assert_allclose(ours.spectrogram.edges, theirs.spectrogram.edges, atol=1e-4)


WITHOUT_TORCH = """
import sys
from pathlib import Path
import diffres_cli
from diffres_cli import figure
from diffres_cli.figure import terminal
prediction = diffres_cli.load_tagger().tag(sys.argv[1])
figure.draw([prediction], Path(sys.argv[2]))
terminal.render_strip(prediction, 60)
print(max(prediction.labels, key=lambda label: label.score).label)
print([name for name in sys.modules if name.partition(".")[0] in ("torch", "torchaudio", "torchvision")])
"""


def test_tagging_and_drawing_never_load_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, EXAMPLES / "siren.ogg", tmp_path / "siren.png"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Siren", "[]"]
    assert (tmp_path / "siren.png").stat().st_size > 0


# --- real recordings

ESC_10_LABELS = {
    "dog": ["Dog", "Bark"],
    "rooster": ["Chicken, rooster", "Crowing, cock-a-doodle-doo"],
    "rain": ["Rain", "Raindrop", "Rain on surface"],
    "sea_waves": ["Waves, surf", "Ocean"],
    "crackling_fire": ["Fire", "Crackle"],
    "crying_baby": ["Baby cry, infant cry", "Crying, sobbing"],
    "sneezing": ["Sneeze"],
    "clock_tick": ["Tick", "Tick-tock", "Clock"],
    "helicopter": ["Helicopter"],
    "chainsaw": ["Chainsaw"],
}


def esc_10_clips(each: int) -> list[tuple[str, Path]]:
    """(class, file), the first `each` of every class of fold 4, which no training has heard."""
    files = defaultdict(list)
    with (ESC_10 / "meta" / "esc50.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["fold"] == "4":
                files[row["category"]].append(ESC_10 / "audio" / row["filename"])
    return [(name, path) for name in ESC_10_LABELS for path in sorted(files[name])[:each]]


@pytest.mark.skipif(
    not ESC_10.exists(), reason="ESC-10 lies beside the repository on development machines only"
)
@pytest.mark.parametrize("fps", [100, 50])
def test_real_clips_get_the_right_labels(tagger: Tagger, fps: float) -> None:
    clips = esc_10_clips(each=4)
    nearest = named = 0
    for name, path in clips:
        prediction = tagger.tag(path, fps=fps, spectrogram=False)
        scores = dict(zip(tagger.card.classes, prediction.windows[0].probabilities, strict=True))
        best = max(ESC_10_LABELS, key=lambda kind: max(scores[label] for label in ESC_10_LABELS[kind]))
        nearest += best == name
        named += any(label.label in ESC_10_LABELS[name] for label in prediction.labels)
    assert len(clips) == 40
    assert nearest >= 36  # of the ten classes, the right one scores best; seen: 40
    assert named >= 24  # out of 527, a right label is among the five printed; seen: 29
