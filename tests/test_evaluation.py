"""Models on clips: scores, label maps, what is refused, and what is said of the result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluated import CLASSES, CLIPS, LABELS, WINDOW, hearing_network, write_dataset, write_map, write_run

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model, read_model
from diffres_cli.datasets.catalog import load_dataset
from diffres_cli.datasets.clip import Dataset
from diffres_cli.datasets.waveforms.cache import WaveformCache, build_cache
from diffres_cli.errors import DataError, ModelError, UsageError
from diffres_cli.evaluation.evaluate import evaluate_all, select_rates
from diffres_cli.evaluation.result import Evaluation
from diffres_cli.evaluation.scoring import score_clips
from diffres_cli.evaluation.tasks import EvalRequest, eval_tasks
from diffres_cli.inference.runtime import OnnxRuntime
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.nn.backend import TorchRuntime
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import save_network
from diffres_cli.tagging.tagger import load_tagger

CARD = hearing_network().card


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module", autouse=True)
def _cached_here(home: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFRES_DATA", str(home / "cache"))
        yield


@pytest.fixture(scope="module")
def data(home: Path) -> Path:
    return write_dataset(home / "data")


@pytest.fixture(scope="module")
def run(home: Path, data: Path) -> Path:
    return write_run(home, data)


@pytest.fixture(scope="module")
def dataset(data: Path) -> Dataset:
    return load_dataset("folder", data)


@pytest.fixture(scope="module")
def waveforms(dataset: Dataset) -> WaveformCache:
    return build_cache(dataset.clips_of("test"), CARD.sample_rate, None)


@pytest.fixture(scope="module")
def small(run: Path) -> TorchRuntime:
    return TorchRuntime(read_model(run / "weights.safetensors"), "cpu")


def evaluated(**how: object) -> list[Evaluation]:
    request = EvalRequest(**how)  # type: ignore[arg-type]
    return list(evaluate_all(request, eval_tasks(request)))


# --- scores


def test_scores_are_what_diffres_tag_says(waveforms: WaveformCache, dataset: Dataset) -> None:
    tagger = load_tagger("audioset-small", device="cpu")
    runtime = OnnxRuntime(read_model(find_model("audioset-small")), "cpu")
    runtime.card = replace(runtime.card, sample_duration=WINDOW)
    whole = [i for i, clip in enumerate(dataset.clips_of("test")) if clip.end is None]
    found = score_clips(runtime, waveforms, whole, [25.0, 100.0], 3)
    for fps, scores in zip((25.0, 100.0), found, strict=True):
        for place, row in zip(whole, scores.probabilities, strict=True):
            path = dataset.clips_of("test")[place].path
            prediction = tagger.tag(path, fps=fps, window=WINDOW, spectrogram=False)
            assert len(prediction.windows) > 1
            expected = np.max([window.probabilities for window in prediction.windows], axis=0)
            np.testing.assert_allclose(row, expected, atol=0.02)  # the cache holds 16 bits


def test_no_clip_knows_its_company(small: TorchRuntime, waveforms: WaveformCache) -> None:
    clips = list(range(CLIPS))
    together = score_clips(small, waveforms, clips, [33.0], CLIPS)[0].probabilities
    backwards = score_clips(small, waveforms, clips[::-1], [33.0], 5)[0].probabilities[::-1]
    alone = [score_clips(small, waveforms, [clip], [33.0], 1)[0].probabilities[0] for clip in clips[::5]]
    np.testing.assert_allclose(backwards, together, atol=1e-5)  # sums in another order
    np.testing.assert_allclose(alone, together[::5], atol=1e-5)
    assert np.ptp(together, axis=0).min() > 0.1  # they are heard


class Clockwork:
    """A runtime whose time and scores are known: 1 ms for each frame a window is merged to."""

    device, backend, warnings = "cpu", "torch", ()

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.seen: list[tuple[int, int]] = []

    def run(self, waveform: Floats, fps: float, outputs: Sequence[str]) -> dict[str, Floats]:
        mel = self.card.mel
        output_frames = output_frames_at(fps, mel.frames(waveform.shape[1]), mel.frame_rate)
        self.seen.append((len(waveform), output_frames))
        shape = (len(waveform), len(self.card.classes))
        return {"probabilities": np.full(shape, output_frames / 1000, np.float32)}


def test_each_rate_gets_its_frames_and_its_time(
    waveforms: WaveformCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Clockwork(replace(CARD, sample_duration=10.0))
    # A real clock would measure what else the machine does.
    monkeypatch.setattr(time, "perf_counter", lambda: sum(frames for _, frames in runtime.seen) / 1000)
    clips = [0, 1, 4, 5, 8, 9]  # of 2 s
    slow, fast = score_clips(runtime, waveforms, clips, [100.0, 20.0], 2)
    assert runtime.seen == [(2, 200), (2, 40)] * 4  # the first batch twice
    assert slow.probabilities.max() == np.float32(0.2)
    assert slow.seconds == pytest.approx(0.1)  # two clips share 200 ms
    assert fast.seconds == pytest.approx(0.02)


def test_scores_that_are_no_numbers_are_refused(run: Path, waveforms: WaveformCache, tmp_path: Path) -> None:
    network = DiffResNetwork(CARD)
    network.load_state_dict(hearing_network().state_dict())
    with torch.no_grad():
        network.backbone.classifier[-1].bias[2] = torch.nan
    save_network(network, tmp_path / "broken.safetensors")
    runtime = TorchRuntime(read_model(tmp_path / "broken.safetensors"), "cpu")
    with pytest.raises(ModelError, match="broken: it computes probabilities of nan"):
        score_clips(runtime, waveforms, [0], [25.0], 1)


# --- evaluations


def test_rates_are_the_papers_that_the_model_serves() -> None:
    assert select_rates(CARD, ()) == (25, 50, 75, 100)
    assert select_rates(replace(CARD, minimum_fps=30.0, maximum_fps=80.0), ()) == (50, 75)
    assert select_rates(replace(CARD, minimum_fps=30.0, maximum_fps=30.0, default_fps=30.0), ()) == (30,)
    assert select_rates(CARD, (50.0, 20.0, 50.0)) == (20, 50)
    with pytest.raises(UsageError, match="fps 150: small serves 20 to 100"):
        select_rates(CARD, (150.0,))


def test_torch_and_onnx_find_the_same(data: Path, tmp_path: Path) -> None:
    how = {
        "models": ("audioset-small",),
        "dataset": "folder",
        "root": data,
        "map": write_map(tmp_path / "m.csv"),
    }
    (by_onnx,) = evaluated(**how, fps=(25.0, 100.0))
    (by_torch,) = evaluated(**how, fps=(25.0, 100.0), backend="torch", batch_size=3)
    assert (by_onnx.backend, by_torch.backend) == ("onnx", "torch")
    for ours, theirs in zip(by_onnx.rates, by_torch.rates, strict=True):
        assert ours.metrics == pytest.approx(theirs.metrics, abs=1e-6)
        assert ours.confusions == theirs.confusions
        assert ours.metrics["accuracy"] > 0.9  # the examples are made for this model
        assert np.trace(ours.confusions) == ours.metrics["accuracy"] * CLIPS


def test_a_run_is_tested_on_its_own_split(run: Path) -> None:
    (found,) = evaluated(runs=(run,), fps=(50.0,))
    assert (found.model, found.dataset, found.splits, found.clips) == ("run", "folder", ("test",), CLIPS)
    assert (found.classes, found.backend, found.limited) == (LABELS, "torch", False)
    assert [each.count for each in found.rates[0].classes] == [4] * 6
    (held,) = evaluated(runs=(run,), fps=(50.0,), split="validation", limit=3)
    assert (held.splits, held.clips, held.limited) == (("validation",), 3, True)
    assert len(held.absent) == 3  # evenly spread: every second class


def test_a_run_is_tested_on_the_fold_it_has_not_heard(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", splits=("fold1", "fold2"))
    runs = tuple(write_run(tmp_path, data, name=f"run{fold}", fold=fold) for fold in (2, 1))
    found = evaluated(runs=runs, fps=(25.0,), batch_size=20)
    assert [(each.model, each.fold, each.splits) for each in found] == [
        ("run2", 2, ("fold2",)),
        ("run1", 1, ("fold1",)),
    ]
    assert [each.clips for each in found] == [CLIPS // 2] * 2
    assert [task.fold for task in eval_tasks(EvalRequest(runs=runs))] == [2, 1]


def test_only_a_runs_own_result_belongs_to_it(run: Path, tmp_path: Path) -> None:
    def owner(**how: object) -> object:
        (found,) = eval_tasks(EvalRequest(runs=(run,), **how))  # type: ignore[arg-type]
        return found.run and found.run.path

    assert owner() == owner(fps=(25.0,)) == run
    for how in (
        {"limit": 2},
        {"split": "test"},
        {"models": ("audioset-small",)},
        {"map": write_map(tmp_path / "m")},
    ):
        assert owner(**how) is None


def test_runs_of_different_data_have_no_mean(run: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    other = write_run(tmp_path, data, name="other")
    with pytest.raises(UsageError, match=r"run \(folder in .* and other \(folder in .* have no mean"):
        eval_tasks(EvalRequest(runs=(run, other)))
    assert len(eval_tasks(EvalRequest(runs=(run, other), root=data))) == 2


def test_a_run_given_twice_is_no_second_seed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(run)
    for again in (run, tmp_path / "again"):
        with pytest.raises(UsageError, match=r"weights\.safetensors: given twice: .* two seeds"):
            eval_tasks(EvalRequest(runs=(run, again)))


def test_a_subject_knows_what_it_was_trained_on(run: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", splits=("fold1", "fold2", "fold3"))
    held = write_run(tmp_path, data, name="held", fold=2)

    def trained(**how: object) -> list[tuple[str, ...]]:
        return [task.trained for task in eval_tasks(EvalRequest(**how))]  # type: ignore[arg-type]

    assert trained(runs=(held,)) == [()]
    assert trained(runs=(held,), fold="all") == [("fold1",), (), ("fold3",)]
    assert trained(runs=(held,), split="all") == [("fold1", "fold3")]
    assert trained(runs=(run,), split="all") == [()]
    recipe = run.with_name("known") / "recipe.toml"
    known = write_run(run.parent, Path(load_dataset("folder", run.parent / "data").root), name="known")
    recipe.write_text(recipe.read_text().replace("[data]", '[data]\ntrain = ["rest"]\nvalidation = ["test"]'))
    assert trained(runs=(known,), split="all") == [("validation",)]
    assert trained(runs=(known,), split="all", root=write_dataset(tmp_path / "mine")) == [()]


def test_a_run_of_soft_labels_needs_a_labelled_dataset(data: Path, tmp_path: Path) -> None:
    soft = write_run(tmp_path, data, name="soft")
    (soft / "recipe.toml").write_text('[data]\ndataset = ""\nroot = ""\ntest = []\nsoft_labels = "teacher"\n')
    with pytest.raises(UsageError, match="soft: its recipe names no labelled dataset: choose one"):
        eval_tasks(EvalRequest(runs=(soft,)))
    (found,) = eval_tasks(EvalRequest(runs=(soft,), dataset="folder", root=data))
    assert (found.splits, found.run) == (("test",), None)


def test_undecodable_clips_are_named_and_stop_above_the_share(run: Path, data: Path, tmp_path: Path) -> None:
    broken = write_dataset(tmp_path / "data")
    (broken / "rain.ogg").unlink()
    (broken / "rain.ogg").write_bytes(b"OggS, but not really")
    (found,) = evaluated(runs=(run,), root=broken, fps=(25.0,), max_missing=0.2)
    assert found.clips == CLIPS - 4
    assert len(found.undecodable) == 4
    assert all(name.startswith("rain.ogg#t=") and why for name, why in found.undecodable.items())
    assert found.absent == ("rain",)
    with pytest.raises(
        DataError, match=r"4 of 24 clips are undecodable \(16\.7%, allowed 10\.0%\): rain.ogg"
    ):
        evaluated(runs=(run,), root=broken, fps=(25.0,))


def test_missing_clips_stop_above_the_share(run: Path, tmp_path: Path) -> None:
    lacking = write_dataset(tmp_path / "data")
    (lacking / "rain.ogg").unlink()
    with pytest.raises(DataError) as refused:
        evaluated(runs=(run,), root=lacking, max_missing=0.1)
    assert "4 of 24 clips are missing (16.7%, allowed 10.0%): rain.ogg#t=0,2, " in str(refused.value)
    assert f"`diffres data check folder --data {lacking}` lists them" in str(refused.value)
    assert "allow more missing clips" in str(refused.value)
    (found,) = evaluated(runs=(run,), root=lacking, max_missing=0.2, fps=(25.0,))
    assert len(found.missing) == 4


def test_what_other_splits_lack_does_not_count(run: Path, tmp_path: Path) -> None:
    lacking = write_dataset(tmp_path / "data")
    with (lacking / "clips.csv").open("a") as table:
        table.writelines(f"gone{i}.ogg,rain,,,train\n" for i in range(100))
    (found,) = evaluated(runs=(run,), root=lacking, max_missing=0.0, fps=(25.0,), limit=2)
    assert found.missing == ()


def test_a_split_without_a_decodable_clip_is_refused_at_any_share(run: Path, tmp_path: Path) -> None:
    broken = write_dataset(tmp_path / "data")
    for file, _ in CLASSES.values():
        (broken / file).unlink()
        (broken / file).write_bytes(b"no sound at all")
    with pytest.raises(DataError, match="24 of 24 clips are undecodable"):
        evaluated(runs=(run,), root=broken, max_missing=1.0)
