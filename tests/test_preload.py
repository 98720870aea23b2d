"""A model that loads in a thread while the command line imports the rest."""

from __future__ import annotations

import time
from pathlib import Path

import onnxruntime
import pytest
from command import EXAMPLES, invoke, spawn
from onnx import TensorProto, helper

from diffres_cli.checkpoint.find import read_model
from diffres_cli.errors import ModelError
from diffres_cli.inference.devices import CPU
from diffres_cli.inference.engine import open_session, preload_session

SIREN = EXAMPLES / "siren.ogg"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every session that ONNX Runtime is asked for."""
    sessions, load = list[object](), onnxruntime.InferenceSession.__init__

    def counted(session: onnxruntime.InferenceSession, *arguments: object, **named: object) -> None:
        sessions.append(session)
        load(session, *arguments, **named)

    monkeypatch.setattr(onnxruntime.InferenceSession, "__init__", counted)
    return sessions


def write_model(path: Path, author: str = "") -> Path:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10, producer_name=author)
    path.write_bytes(model.SerializeToString())
    return path


def author_of(path: Path, providers: list[str], threads: int = 1, fps: float | None = None) -> str:
    session = open_session(read_model(path), providers, threads, fps)
    return str(session.get_modelmeta().producer_name)


def test_what_was_loaded_ahead_is_not_loaded_again(tmp_path: Path, loaded: list[object]) -> None:
    path = write_model(tmp_path / "model.onnx", "me")
    preload_session(path, 25.0)
    assert author_of(path, [CPU], fps=25.0) == "me"
    assert len(loaded) == 1
    assert author_of(path, [CPU], fps=25.0) == "me"
    assert len(loaded) == 2


def test_another_rate_or_thread_count_is_loaded_for_itself(tmp_path: Path, loaded: list[object]) -> None:
    path = write_model(tmp_path / "model.onnx", "me")
    preload_session(path, 25.0)
    assert author_of(path, [CPU], fps=50.0) == author_of(path, [CPU], 2, 25.0) == "me"
    assert author_of(path, [CPU], fps=25.0) == "me"
    assert len(loaded) == 3


def test_a_file_that_changed_meanwhile_is_loaded_as_it_is_now(tmp_path: Path) -> None:
    path, new = write_model(tmp_path / "model.onnx", "before"), write_model(tmp_path / "new.onnx", "after")
    preload_session(path)
    time.sleep(0.3)  # most often it has been read by then
    assert author_of(new.replace(path), [CPU]) == "after"


def test_a_model_that_does_not_load_ahead_is_reported_when_it_is_due(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"hello" * 1000)
    preload_session(path)
    with pytest.raises(ModelError, match=r"model\.onnx: not a model ONNX Runtime can run"):
        open_session(read_model(path), [CPU], 1)


@pytest.mark.parametrize("options", [(), ("-v",), ("--fps", "25"), ("-v", "-f", "csv", "-o", "out")])
def test_a_command_loads_its_model_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: list[object], options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("tag", SIREN, *options).code == 0
    assert len(loaded) == 1


def test_a_bad_model_is_one_line_of_a_process_too(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"hello" * 1000)
    result = spawn("tag", SIREN, "-m", tmp_path / "bad.onnx")
    assert (result.code, result.out) == (3, "")
    assert "bad.onnx: not a model ONNX Runtime can run (" in result.complaint


def test_a_wrong_option_ends_a_process_whose_model_still_loads() -> None:
    result = spawn("tag", SIREN, "--window", "-1")
    assert (result.code, result.out) == (2, "")
    assert result.complaint.startswith("--window -1")
