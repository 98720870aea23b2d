"""Whole runs of `diffres train`: what they leave behind, and what is refused of a finished one."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import dataset_trees
import numpy as np
import pytest
import torch
from command import invoke
from test_cli_terminal import on_terminal
from training_runs import differing, facts, options, write_clips

from diffres_cli.checkpoint.find import find_model
from diffres_cli.nn.weights import load_network
from diffres_cli.recipes.files import read_recipe

pytestmark = pytest.mark.usefixtures("one_cache")


SAME = {"training__ema": 0.5, "training__clip_norm": 1.0, "optimizer__warmup": 4, "rate__per_batch": 3}


@pytest.fixture(scope="module")
def run(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "done"
    result = invoke(*options(clips, folder, **SAME))
    assert result.code == 0, result.err
    assert result.out == f"{folder}\n"
    assert [line.split(":")[0] for line in result.err.splitlines()][-2:] == ["diffres"] * 2
    assert "epoch 2: loss " in result.err
    return folder


def test_a_run_holds_what_is_needed_to_repeat_it(run: Path, clips: Path) -> None:
    held = facts(run)
    assert held["status"] == "finished"
    assert held["seed"] == 0
    assert held["data"]["clips"] == {"train": 32, "validation": 8}
    assert held["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert held["command"][0] == "diffres"
    assert len(held["sessions"]) == 1
    assert held["sessions"][0]["seconds"] > 0
    recipe = read_recipe(run / "recipe.toml")
    assert (recipe.data.root, recipe.training.ema, recipe.model.width) == (str(clips), 0.5, 0.1)


def test_the_network_of_a_run_tags(run: Path, tmp_path: Path) -> None:
    network = load_network(find_model(run, weights=True))
    assert network.card.classes == ("bell", "bird", "phone", "rain")
    assert (network.card.minimum_fps, network.card.maximum_fps) == (25, 100)
    assert not network.card.multi_label
    result = invoke(
        "tag", dataset_trees.EXAMPLES / "rain.ogg", "-m", run, "--backend", "torch", "-f", "json", "-c", "0"
    )
    assert result.code == 0, result.err
    (recording,) = json.loads(result.out)
    assert {label["label"] for label in recording["labels"]} == set(network.card.classes)


def test_every_step_is_logged(run: Path) -> None:
    with (run / "logs" / "0" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = set(rows[0])
    for name in ("total", "classification", "guide", "activeness", "fps", "lr", "clips_per_second"):
        assert f"train/{name}" in columns, name
    for name in ("accuracy", "mAP", "AUC", "d_prime", "loss"):
        for fps in (25, 100):
            assert f"validation/{name}@{fps}" in columns
    assert list((run / "logs" / "0").glob("events.out.tfevents.*"))
    rates = {int(row["step"]): float(row["train/lr"]) for row in rows if row["train/lr"]}
    assert rates == pytest.approx({step: 1e-3 * min(1, (step + 1) / 4) for step in (1, 3, 5, 7)})


def test_a_bar_counts_epochs_and_their_parts_on_a_terminal(clips: Path, tmp_path: Path) -> None:
    screen = on_terminal(*options(clips, tmp_path / "run", training__epochs=1), out=False)
    assert (screen.code, screen.out) == (0, f"{tmp_path / 'run'}\n")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.shown)
    assert re.search("Epoch 1 of 1, part 2 of 2 ━+", shown)


def test_the_best_network_is_the_one_that_is_kept(run: Path) -> None:
    best = facts(run)["best"]
    accuracy = np.mean([best[f"validation/accuracy@{fps}"] for fps in (25, 100)])
    assert best["validation/metric"] == pytest.approx(accuracy)
    assert all(math.isfinite(value) or "d_prime" in name for name, value in best.items())


def test_the_same_seed_gives_the_same_network_and_another_another(
    run: Path, clips: Path, tmp_path: Path
) -> None:
    assert invoke(*options(clips, tmp_path / "again", **SAME)).code == 0
    assert invoke(*options(clips, tmp_path / "other", **SAME), "--seed", "1").code == 0
    assert not differing(run, tmp_path / "again")
    assert differing(run, tmp_path / "other")


@pytest.mark.parametrize(
    "name", ["audioset", "fsd50k", "esc50", "esc10", "speechcommands", "nsynth", "arabic"]
)
def test_every_datasets_recipe_trains_an_epoch_on_its_official_layout(name: str, tmp_path: Path) -> None:
    build: dict[str, Callable[[Path], Path]] = {
        "audioset": dataset_trees.audioset_clips, "fsd50k": dataset_trees.fsd50k,
        "esc50": dataset_trees.esc50, "esc10": _esc10, "speechcommands": dataset_trees.speech_commands,
        "nsynth": dataset_trees.nsynth, "arabic": dataset_trees.arabic,
    }  # fmt: skip
    root = build[name](tmp_path / "data")
    dataset = {"arabic": "arabic-speechcommands"}.get(name, name)
    # A short window, one rate a batch and a narrow network: what is tested is the way from files to weights.
    less = [
        "data.seconds=0.25", "training.epochs=1", "training.batch_size=2", "training.validate_every=1",
        "training.statistics_batches=1", "rate.per_batch=1", "rate.validation=[25.0]",
        "model.architecture=mobilenet_v3_large", "model.width=0.1",
    ]  # fmt: skip
    result = invoke(
        "train", "--dataset", dataset, "--data", root, "-o", tmp_path / "run", "--device", "cpu",
        *(word for field in less for word in ("--set", field)),
    )  # fmt: skip
    assert result.code == 0, result.err
    network = load_network(tmp_path / "run" / "weights.safetensors")
    classes = {
        "audioset": 527,
        "fsd50k": 200,
        "esc50": 50,
        "esc10": 10,
        "speechcommands": 35,
        "nsynth": 11,
        "arabic": 40,
    }
    assert len(network.card.classes) == classes[name]
    assert facts(tmp_path / "run")["status"] == "finished"


def _esc10(root: Path) -> Path:
    folds = [(fold, target) for fold in (1, 2) for target in range(10)]
    rows = [(f"{fold}-100-A-{t}.wav", fold, t, f"class {t}", True, 100, "A") for fold, t in folds]
    return dataset_trees.esc50(root, rows)


def test_without_a_recipe_clips_are_as_long_as_they_are(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "data", train=2, seconds=0.75)
    words = options(clips, tmp_path / "run", training__epochs=1)
    length = words.index("data.seconds=0.5")
    assert invoke(*words[: length - 1], *words[length + 1 :]).code == 0
    assert read_recipe(tmp_path / "run" / "recipe.toml").data.seconds == 0.75
    assert load_network(tmp_path / "run" / "weights.safetensors").card.sample_duration == 0.75


def test_a_fold_alone_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    root = dataset_trees.esc50(tmp_path / "data")  # all its ESC-10 clips are in fold 1
    result = invoke("train", "--dataset", "esc10", "--data", root, "-o", tmp_path / "run")
    said = "esc10 has clips in fold1 alone: holding it out leaves none to train on"
    assert (result.code, result.complaint) == (2, said)


def test_soft_labels_are_learned(tmp_path: Path, clips: Path) -> None:
    from test_training_state import soft_folder

    root = soft_folder(tmp_path / "soft")
    result = invoke(
        "train", "--soft-labels", root, "-o", tmp_path / "run", "--device", "cpu", "--epochs", "1",
        *(w for f in ("data.validation=['siren']", "data.seconds=0.5", "training.batch_size=2",
                      "model.architecture=mobilenet_v3_large", "model.width=0.1", "optimizer.warmup=0",
                      "rate.validation=[25.0]", "rate.per_batch=1") for w in ("--set", f)),
    )  # fmt: skip
    assert result.code == 0, result.err
    assert load_network(tmp_path / "run" / "weights.safetensors").card.multi_label
    assert math.isfinite(facts(tmp_path / "run")["best"]["validation/loss"])
    refused = invoke("export", tmp_path / "run", "-o", tmp_path / "shipped")
    why = "not evaluated: a run of soft labels has no labelled test split"
    assert refused.complaint.startswith(f"{tmp_path / 'run'}: {why}")


def test_a_finished_run_is_not_resumed(run: Path) -> None:
    result = invoke("train", "--resume", run)
    assert (result.code, "the run is finished" in result.complaint) == (2, True)


@pytest.mark.parametrize("what", ["recipe", "data", "state", "facts"])
def test_a_run_that_changed_is_not_resumed(what: str, run: Path, clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    held = facts(folder)
    held["status"] = "stopped"
    if what == "data":
        held["data"]["sha256"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(held))
    if what == "recipe":
        text = (folder / "recipe.toml").read_text()
        (folder / "recipe.toml").write_text(text.replace("lr = 0.001", "lr = 0.002"))
    if what == "state":
        (folder / "last.safetensors").write_bytes(b"junk")
    if what == "facts":
        (folder / "run.json").write_text("{")
    result = invoke("train", "--resume", folder)
    words = {
        "recipe": "recipe.toml was changed since the run began: optimizer.lr is 0.002, was 0.001: undo that",
        "data": "the data changed since the run began",
        "state": "damaged checkpoint",
        "facts": "run.json: not JSON",
    }
    assert words[what] in result.err.splitlines()[-1]
    assert result.code == (2 if what == "facts" else 3)


def test_a_folder_that_holds_something_is_not_written_to(run: Path, clips: Path) -> None:
    before = facts(run)
    result = invoke(*options(clips, run))
    assert (result.code, "is not empty" in result.err) == (2, True)
    assert facts(run) == before
