"""A model by name or path: found, verified, and refused in words that help."""

from __future__ import annotations

import csv
import hashlib
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model, read_model, shipped_models
from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL, PAPER
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.inference.runtime import OnnxRuntime
from diffres_cli.tagging.tagger import load_tagger

SHIPPED = shipped_models()["audioset-small"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped checkpoint, to damage."""
    return shutil.copytree(SHIPPED, tmp_path / "my-model")


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(data)


def foreign_onnx(path: Path) -> Path:
    """The smallest graph there is, without any metadata."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


# --- finding


def test_a_shipped_name_a_folder_and_a_file_are_the_same_model(folder: Path) -> None:
    assert find_model("audioset-small") == SHIPPED / "model.onnx"
    assert find_model(folder) == find_model(str(folder)) == folder / "model.onnx"
    assert find_model(folder / "model.onnx") == folder / "model.onnx"


def test_the_torch_backend_gets_the_weights(folder: Path) -> None:
    assert find_model("audioset-small", weights=True) == SHIPPED / "weights.safetensors"
    assert find_model(folder, weights=True) == folder / "weights.safetensors"


def test_weights_alone_stand_in_for_a_graph(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.symlink_to(find_model("audioset-small", weights=True))
    assert find_model(tmp_path) == weights
    assert len(load_tagger(tmp_path).card.classes) == 527


@pytest.mark.parametrize("typed", ["audioset-smal", "audioset_small", "audioset"])
def test_a_misspelt_name_gets_the_nearest(typed: str) -> None:
    with pytest.raises(UsageError, match=f"unknown model '{typed}': nearest: 'audioset-small'"):
        find_model(typed)


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(UsageError, match="unknown model 'whisper': shipped: audioset-small"):
        find_model("whisper")


def test_a_folder_without_a_model_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must hold model\.onnx"):
        find_model(tmp_path)
    with pytest.raises(ModelError, match=r"must hold weights\.safetensors"):
        find_model(tmp_path, weights=True)


def test_another_file_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"expected an \.onnx or \.safetensors file"):
        find_model(path)


def test_torch_cannot_run_a_graph() -> None:
    with pytest.raises(UsageError, match="the torch backend needs weights"):
        find_model(SHIPPED / "model.onnx", weights=True)


# --- verifying


def test_what_ships_is_what_was_published() -> None:
    stated = dict(reversed(line.split("  ")) for line in (SHIPPED / "SHA256SUMS").read_text().splitlines())
    assert stated.keys() == {"README.md", "labels.csv", "model.onnx", "parents.csv", "weights.safetensors"}
    for name, digest in stated.items():
        assert hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize(("name", "backend"), [("model.onnx", "onnx"), ("weights.safetensors", "torch")])
def test_one_flipped_bit_is_found(folder: Path, name: str, backend: str) -> None:
    flip_a_byte(folder / name)
    with pytest.raises(
        ModelError, match=rf"{name}: damaged: SHA-256 is .*SHA256SUMS says .*install it again"
    ):
        load_tagger(folder, backend=backend)


def test_a_lone_file_needs_no_checksum(tmp_path: Path) -> None:
    path = shutil.copy(SHIPPED / "model.onnx", tmp_path / "mine.onnx")
    assert load_tagger(path).card.name == "mine"


def test_a_folder_names_its_model(folder: Path) -> None:
    assert load_tagger(folder).card.name == "my-model"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: "):
        read_model(tmp_path / "gone.onnx")


# --- not ours


def test_a_foreign_graph_is_told_from_ours(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"foreign\.onnx: not a diffres model .*diffres export.*diffres models"
    ):
        load_tagger(foreign_onnx(tmp_path / "foreign.onnx"))


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"\x00" * 64], ids=["empty", "audio", "zeros"])
def test_what_is_no_graph_at_all_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx: not a model ONNX Runtime can run"):
        load_tagger(path)


def test_half_a_graph_is_told(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match="not a model ONNX Runtime can run"):
        load_tagger(folder)


# Models were made before there were variants.
@pytest.mark.parametrize("key", [field.name for field in fields(ModelCard) if field.name != "variant"])
def test_metadata_with_a_hole_is_damaged(key: str) -> None:
    metadata = card().to_metadata()
    del metadata[key]
    with pytest.raises(ModelError, match=f"damaged model metadata .*{key}"):
        ModelCard.from_metadata(metadata, "here")


@pytest.mark.parametrize("value", ["", "{", '{"sample_rate": 1}'])
def test_metadata_that_cannot_be_parsed_is_damaged(value: str) -> None:
    with pytest.raises(ModelError, match="damaged model metadata"):
        ModelCard.from_metadata(card().to_metadata() | {"mel": value}, "here")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match="device tpu: choose auto, cpu, cuda"):
        load_tagger(device="tpu")


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="backend jax: choose onnx or torch"):
        load_tagger(backend="jax")


# --- the card


def card() -> ModelCard:
    return ModelCard(
        name="x", architecture="efficientnet_b2", classes=("a", "b, c", 'd "e"'), class_ids=("1", "2", "3"),
        mel=replace(PAPER, low=20.0), license="MIT", trained_on="ESC-50", minimum_fps=10.0,
    )  # fmt: skip


def test_a_card_survives_the_trip_through_metadata() -> None:
    assert ModelCard.from_metadata(card().to_metadata(), "here") == card()


def test_metadata_is_text_under_the_fields_usual_keys() -> None:
    metadata = card().to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["sample_rate"] == "16000"
    assert metadata["sample_duration"] == "10.0"
    assert metadata["classes"] == r'["a", "b, c", "d \"e\""]'


@pytest.mark.parametrize("fps", [0, -1, 9.99, 100.01, float("nan"), float("inf")])
def test_a_rate_the_model_does_not_serve_is_refused_with_the_range(fps: float) -> None:
    with pytest.raises(UsageError, match=r"fps .*: x serves 10 to 100 frames per second \(default 50\)"):
        card().check_fps(fps)


@pytest.mark.parametrize("fps", [10, 33.3, 100])
def test_a_rate_in_the_range_is_served(fps: float) -> None:
    assert card().check_fps(fps) == fps


def test_the_shipped_graph_says_everything_a_run_needs() -> None:
    facts = OnnxRuntime(read_model(find_model("audioset-small"))).card
    assert (facts.sample_rate, facts.sample_duration) == (32_000, 10.0)
    assert (facts.minimum_fps, facts.default_fps, facts.maximum_fps) == (20, 50, 100)
    assert facts.mel == AUDIOSET_SMALL
    assert (facts.license, facts.architecture, facts.width) == ("MIT", "mobilenet_v3_large", 0.4)
    assert "EfficientAT" in facts.derived_from
    assert facts.trained_on
    assert (len(facts.classes), facts.classes[0], facts.class_ids[0]) == (527, "Speech", "/m/09x0r")


def test_the_label_file_lists_the_graphs_classes_in_order() -> None:
    facts = load_tagger().card
    with (SHIPPED / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(527))
    assert tuple(row["mid"] for row in rows) == facts.class_ids
    assert tuple(row["display_name"] for row in rows) == facts.classes


def test_mel_frequencies_are_the_filters_centres() -> None:
    centres = AUDIOSET_SMALL.mel_frequencies
    assert centres.shape == (128,)
    assert (np.diff(centres) > 0).all()
    assert 0 < centres[0] < centres[-1] < AUDIOSET_SMALL.high
