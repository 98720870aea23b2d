"""Models named on the command line: what is listed, and what becomes of files that are none of ours."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import onnx
import pytest
from command import EXAMPLES, ROOT, invoke
from onnx import TensorProto, helper

SIREN = EXAMPLES / "siren.ogg"
SHIPPED = ROOT / "checkpoints" / "audioset-small"


def refused(model: str | Path, code: int = 3) -> str:
    """What is said of a model that cannot be used, without the path before its own name."""
    result = invoke("tag", SIREN, "-m", model)
    assert (result.code, result.out) == (code, "")
    assert invoke("models", "info", model).complaint == result.complaint
    return result.complaint.replace(f"{Path(model).parent}/", "")


def identity() -> onnx.ModelProto:
    """Somebody else's model: it gives back what it is given."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def facts(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def test_the_shipped_model_is_listed() -> None:
    result = invoke("models")
    assert (result.code, result.err) == (0, "")
    heads, *models = result.out.splitlines()
    assert heads.split()[0] == "name"
    (shipped,) = (line for line in models if line.startswith("audioset-small"))
    assert {"527", "20–100", "50", "MIT"} <= set(shipped.split())
    assert invoke("models", "list") == result


@pytest.mark.parametrize("name", [[], ["audioset-small"], [SHIPPED], [SHIPPED / "model.onnx"]])
def test_info_prints_the_cards_facts(name: list[str | Path]) -> None:
    result = invoke("models", "info", *name)
    assert (result.code, result.err) == (0, "")
    known = dict(line.split("  ", 1) for line in result.out.splitlines())
    assert known["sha256"].strip() == hashlib.sha256((SHIPPED / "model.onnx").read_bytes()).hexdigest()
    assert known["licence"].strip() == "MIT"
    assert "20 to 100, default 50" in known["fps"]
    for fact in ("architecture", "classes", "sample rate", "trained on", "derived from", "card"):
        assert known[fact].strip()


@pytest.mark.parametrize("model", [SHIPPED, SHIPPED / "model.onnx"], ids=["folder", "file"])
def test_a_model_by_its_path_is_the_same_model(model: Path) -> None:
    by_name, by_path = (
        json.loads(invoke("tag", SIREN, "-f", "jsonl", *how).out)["labels"]
        for how in ((), ("-m", str(model)))
    )
    assert by_name == by_path


@pytest.mark.parametrize(
    "model", ["whisper", "audioset-smal", "nowhere/model.onnx", "x\ny", "\x1b[31m", "caf\udce9"]
)
def test_an_unknown_model(model: str) -> None:
    complaint = invoke("tag", SIREN, "-m", model).complaint
    assert invoke("tag", SIREN, "-m", model).code == 2
    assert complaint.startswith("unknown model ")
    assert "audioset-small" in complaint
    assert complaint.isprintable()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "garbage.onnx").write_bytes(b"hello" * 1000)
    (tmp_path / "empty.onnx").touch()
    whole = (SHIPPED / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("garbage.onnx", "empty.onnx", "cut.onnx"):
        assert refused(tmp_path / name).startswith(f"{name}: not a model ONNX Runtime can run (")
    assert "expected an .onnx or .safetensors file" in refused(SIREN)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "a checkpoint folder must hold model.onnx, and this one does not" in refused(tmp_path)


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "copy")
    model = bytearray((folder / "model.onnx").read_bytes())
    model[100_000] ^= 1
    (folder / "model.onnx").write_bytes(model)
    assert "model.onnx: damaged: SHA-256 is " in refused(folder)
    assert refused(folder).endswith("install it again")


def test_a_checkpoint_whose_graph_is_gone_is_not_run_on_its_weights(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "copy")
    assert (folder / "weights.safetensors").exists()
    (folder / "model.onnx").unlink()
    assert "SHA256SUMS lists model.onnx, which is gone: install the model again" in refused(folder)


def test_a_file_without_checksums_cannot_be_checked(tmp_path: Path) -> None:
    alone = shutil.copy(SHIPPED / "model.onnx", tmp_path / "alone.onnx")
    result = invoke("models", "check", alone)
    assert (result.code, result.out) == (2, "")
    assert "alone.onnx: no SHA256SUMS next to it" in result.complaint
    assert invoke("models", "check", SHIPPED / "model.onnx").out.endswith("model.onnx  intact\n")


@pytest.mark.parametrize("gone", ["model.onnx", "labels.csv", "README.md", "SHA256SUMS"])
def test_check_misses_a_file_of_a_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "checkpoints" / "audioset-small")
    (folder / gone).unlink()
    monkeypatch.setattr("diffres_cli.checkpoint.find._HERE", tmp_path)
    for name in ([], ["audioset-small"], [folder]):
        result = invoke("models", "check", *name)
        assert (result.code, result.out) == (3, "")
        assert f"{gone} is missing" in result.complaint


def test_a_model_that_is_not_ours(tmp_path: Path) -> None:
    onnx.save(identity(), tmp_path / "other.onnx")
    assert refused(tmp_path / "other.onnx").startswith("other.onnx: not a diffres model ")


def test_a_graph_that_is_not_ours_under_our_facts(tmp_path: Path) -> None:
    model = identity()
    helper.set_model_props(model, facts(onnx.load(SHIPPED / "model.onnx")))
    onnx.save(model, tmp_path / "disguised.onnx")
    expected = "disguised.onnx: not a diffres graph: it must take waveform and fps and give probabilities"
    assert refused(tmp_path / "disguised.onnx").startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"classes": '["a"]', "class_ids": '["b"]'},
            "its graph gives 527 scores, its metadata names 1 classes",
        ),
        ({"class_ids": '["b"]'}, "class_ids is 1, expected 527, one for each class"),
        ({"classes": '"abc"'}, "classes is 'abc', expected a list of names"),
        ({"classes": "[1]"}, "classes is [1], expected a list of names"),
        ({"classes": "["}, "damaged model metadata"),
        ({"minimum_fps": '"x"'}, "minimum_fps is 'x', expected a number"),
        ({"mel": "{}"}, "damaged model metadata"),
    ],
    ids=str,
)
def test_facts_that_contradict_the_graph_or_themselves(
    tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    model = onnx.load(SHIPPED / "model.onnx")
    helper.set_model_props(model, facts(model) | changes)
    onnx.save(model, tmp_path / "odd.onnx")
    complaint = refused(tmp_path / "odd.onnx")
    assert complaint.startswith("odd.onnx: ")
    assert expected in complaint
    assert "download it again" in complaint


def test_exporting_what_is_not_there(tmp_path: Path) -> None:
    result = invoke("export", "nope", "-o", tmp_path / "m.onnx")
    assert (result.code, result.out, list(tmp_path.iterdir())) == (2, "", [])
    assert result.complaint.startswith("unknown model 'nope'")


def test_exporting_for_a_rate_that_is_not_served(tmp_path: Path) -> None:
    result = invoke("export", "audioset-small", "-o", tmp_path / "m.onnx", "--fps", "7")
    assert (result.code, result.out, list(tmp_path.iterdir())) == (2, "", [])
    assert result.complaint.startswith("--fps 7: audioset-small serves 20 to 100 frames per second")
