"""What a stranger may hand over: a model that never ends, an ffmpeg that never answers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from audio_files import noise, write
from onnx import TensorProto, helper, numpy_helper

from diffres_cli.checkpoint.find import shipped_models


def endless_model(path: Path) -> Path:
    """The shipped model behind a loop whose end nobody lives to see."""
    model = onnx.load(shipped_models()["audioset-small"] / "model.onnx")
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = "looped" if name == "waveform" else name
    model.graph.node.insert(
        0, helper.make_node("Loop", ["for_ever", "", "waveform"], ["looped"], body=_body())
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(2**62), "for_ever"))
    onnx.save(model, path)
    return path


def _body() -> onnx.GraphProto:
    inputs = [
        ("turn", TensorProto.INT64, []),
        ("go_on", TensorProto.BOOL, []),
        ("before", TensorProto.FLOAT, None),
    ]
    outputs = [("going_on", TensorProto.BOOL, []), ("after", TensorProto.FLOAT, None)]
    return helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["going_on"]),
            helper.make_node("Neg", ["before"], ["after"]),
        ],
        "body",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
    )


def silent_ffmpeg(folder: Path) -> dict[str, str]:
    """An environment whose ffmpeg writes its process id to `folder`/pids and then waits."""
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ >> {folder}/pids\nexec sleep 600\n")
    program.chmod(0o755)
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def unknown_format(path: Path) -> Path:
    """A file that only ffmpeg would look into."""
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(1000))
    return path


def ffmpegs(folder: Path) -> list[int]:
    """The process ids of those that still run."""
    pids = [int(line) for line in (folder / "pids").read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and not _is_zombie(pid)]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def sounds(folder: Path, *names: str) -> Path:
    """Recordings of a second each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(folder / name, noise(1))
    return folder
