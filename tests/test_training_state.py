"""Checkpoints without pickle, tables of a teacher's probabilities, and where a run starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import EXAMPLES
from dataset_trees import SHARED, esc50

from diffres_cli.checkpoint.find import find_model
from diffres_cli.datasets import load_dataset
from diffres_cli.errors import DataError, ModelError, UsageError
from diffres_cli.nn.weights import load_network
from diffres_cli.recipes.recipe import Data, Recipe
from diffres_cli.recipes.splits import split_names
from diffres_cli.training.softlabels import read_folder, read_table
from diffres_cli.training.start import initial_network
from diffres_cli.training.state import SafetensorsIO

STATE: dict[str, Any] = {
    "epoch": 3,
    "state_dict": {"a.weight": torch.randn(3, 4).t(), "b": torch.tensor(7)},
    "optimizer_states": [
        {"state": {0: {"step": torch.tensor(2.0)}, 1: {}}, "param_groups": [{"betas": (0.9, 0.99)}]}
    ],
    "callbacks": {"BestAndLast": {"best": -float("inf"), "name": None, "ok": True}},
}


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    SafetensorsIO().save_checkpoint(STATE, tmp_path / "last.safetensors")
    back = SafetensorsIO().load_checkpoint(tmp_path / "last.safetensors")
    assert torch.equal(back["state_dict"].pop("a.weight"), STATE["state_dict"]["a.weight"])
    assert torch.equal(back["state_dict"].pop("b"), torch.tensor(7))
    (optimizer,) = back["optimizer_states"]
    assert optimizer["state"].keys() == {0, 1}  # numbers, not words
    assert optimizer["state"][0]["step"].item() == 2
    assert optimizer["param_groups"] == [{"betas": (0.9, 0.99)}]
    assert (back["epoch"], back["callbacks"]) == (3, STATE["callbacks"])


def test_nothing_but_tensors_and_plain_values_is_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="callbacks/secret is a PosixPath"):
        SafetensorsIO().save_checkpoint({"callbacks": {"secret": Path()}}, tmp_path / "last.safetensors")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: b"junk", lambda data: b""])
def test_a_damaged_checkpoint_is_said_to_be_one(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "last.safetensors"
    SafetensorsIO().save_checkpoint(STATE, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match="damaged checkpoint"):
        SafetensorsIO().load_checkpoint(path)


def soft_folder(root: Path, classes: int = 527) -> Path:
    """Two sources: the rain and the siren, in windows of a second."""
    root.mkdir()
    for name in ("rain", "siren"):
        (root / f"{name}.ogg").symlink_to(EXAMPLES / f"{name}.ogg")
        windows = np.array([[0, 16000, 160000], [16000, 8000, 160000]], np.int32)
        table = np.full((2, classes), 51, np.uint8)
        np.savez(root / f"{name}.npz", window=windows, sqrt_probability_255=table)
    return root


def test_a_folder_of_probabilities_is_a_dataset(tmp_path: Path) -> None:
    dataset, soft = read_folder(soft_folder(tmp_path / "soft"))
    assert (len(dataset.classes), dataset.classes[0], dataset.class_ids[0]) == (527, "Speech", "/m/09x0r")
    assert dataset.splits == ("rain", "siren")
    assert [(clip.start, clip.end) for clip in dataset.clips_of("siren")] == [(0.0, 1.0), (1.0, 1.5)]
    assert soft.rows_of(dataset.clips_of("siren")).shape == (2, 527)
    names = split_names(Data(train=("rest",), validation=("siren",), test=()), dataset)
    assert names["train"] == ("rain",)


def test_classes_can_be_named_beside_the_tables(tmp_path: Path) -> None:
    root = soft_folder(tmp_path / "soft", classes=2)
    with pytest.raises(DataError, match="2 classes in the tables, 527 in"):
        read_folder(root)
    (root / "labels.csv").write_text("index,mid,display_name\n0,/m/0,wet\n1,/m/1,dry\n")
    assert read_folder(root)[0].classes == ("wet", "dry")


@pytest.mark.parametrize("lost", ["window", "sqrt_probability_255"])
def test_a_source_whose_windows_and_rows_differ_is_refused(lost: str, tmp_path: Path) -> None:
    root = soft_folder(tmp_path / "soft")
    with np.load(root / "rain.npz") as held:
        arrays = dict(held)
    np.savez(root / "rain.npz", **arrays | {lost: arrays[lost][:1]})
    with pytest.raises(DataError, match=r"rain\.npz has windows of shape"):
        read_folder(root)


def test_sources_with_other_classes_are_refused(tmp_path: Path) -> None:
    root = soft_folder(tmp_path / "soft")
    with np.load(root / "siren.npz") as held:
        arrays = dict(held)
    np.savez(root / "siren.npz", **arrays | {"sqrt_probability_255": arrays["sqrt_probability_255"][:, 1:]})
    with pytest.raises(DataError, match=r"siren\.npz has \(526,\) classes"):
        read_folder(root)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no NAME\.npz"):
        read_folder(tmp_path)
    root = soft_folder(tmp_path / "soft")
    (root / "rain.ogg").unlink()
    with pytest.raises(DataError, match="no audio of that name"):
        read_folder(root)
    (root / "rain.npz").write_bytes(b"junk")
    with pytest.raises(DataError, match="not a table"):
        read_folder(root)
    np.savez(root / "rain.npz", window=np.array([object()], object))
    with pytest.raises(DataError, match="not a table"):  # pickled objects are never loaded
        read_folder(root)


def test_a_table_for_a_datasets_clips(tmp_path: Path) -> None:
    dataset = load_dataset("esc50", esc50(tmp_path / "esc"))
    names = np.array([clip.name for clip in dataset.clips])
    probability = np.linspace(0, 1, 50 * len(names)).reshape(-1, 50)
    np.savez(tmp_path / "soft.npz", name=names[::-1], probability=probability[::-1])
    soft = read_table(tmp_path / "soft.npz", dataset)
    assert (soft.rows_of(dataset.clips) / 255.0) ** 2 == pytest.approx(probability, abs=4e-3)
    np.savez(tmp_path / "soft.npz", name=names[1:], probability=probability[1:])
    short = read_table(tmp_path / "soft.npz", dataset)
    assert (
        len(short.rows_of(dataset.clips[1:])) == len(names) - 1
    )  # only the clips that are used must be there
    with pytest.raises(DataError, match=f"1 clips are not in it, such as {names[0]}"):
        short.rows_of(dataset.clips)
    for value in (np.nan, -0.1, 7.0):
        np.savez(tmp_path / "soft.npz", name=names, probability=np.full_like(probability, value))
        with pytest.raises(DataError, match="values that are not 0 to 1"):
            read_table(tmp_path / "soft.npz", dataset)
    np.savez(tmp_path / "soft.npz", name=names, probability=probability[:, 1:])
    with pytest.raises(DataError, match="esc50 has 50 classes"):
        read_table(tmp_path / "soft.npz", dataset)


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_the_shared_distillation_tables_are_read() -> None:
    dataset, soft = read_folder(SHARED / "distill")
    assert len(dataset.splits) > 20
    assert len(dataset.clips) == len(soft.table) == len(soft.rows) > 2000


SMALL = Recipe().changed(
    {
        "data.fold": 1,
        "model.architecture": "mobilenet_v3_large",
        "model.width": 0.4,
        "model.front_end": "audioset-small",
    },
    "--set",
)


def test_a_run_starts_from_a_models_weights_but_for_its_classes(tmp_path: Path) -> None:
    dataset = load_dataset("esc50", esc50(tmp_path / "esc"))
    source = load_network(find_model("audioset-small", weights=True))
    network = initial_network(
        SMALL.changed({"model.init": "audioset-small", "data.fold": 1}, ""), dataset, "x"
    )
    ours, theirs = network.state_dict(), source.state_dict()
    ours = {name: value for name, value in ours.items() if not name.startswith("conditioning.")}
    other = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert other == {"backbone.classifier.3.weight", "backbone.classifier.3.bias"}
    assert len(network.card.classes) == 50
    assert network.card.derived_from == "audioset-small"


def test_a_start_is_a_function_of_the_seed(tmp_path: Path) -> None:
    dataset = load_dataset("esc50", esc50(tmp_path / "esc"))
    first, again = (initial_network(SMALL, dataset, "x").state_dict() for _ in range(2))
    other = initial_network(SMALL.changed({"training.seed": 1}, ""), dataset, "x").state_dict()
    name = "backbone.features.0.0.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.front_end": "paper"}, "front end"),
        ({"model.architecture": "efficientnet_b0"}, "holds no weights for efficientnet_b0"),
        ({"model.width": 0.5}, "holds no weights for mobilenet_v3_large, width 0.5"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    dataset = load_dataset("esc50", esc50(tmp_path / "esc"))
    with pytest.raises(UsageError, match=words):
        initial_network(SMALL.changed({"model.init": "audioset-small", **changes}, ""), dataset, "x")
