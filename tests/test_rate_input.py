"""The frame rate as an input of a graph: output frames counted inside, one session a rate, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from exported_networks import CARD, bursts, session_of
from onnx_ir.tape import Tape

from diffres_cli.checkpoint.find import find_model, read_model
from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL, PAPER, MelConfig
from diffres_cli.errors import UsageError
from diffres_cli.inference.runtime import OnnxRuntime
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.nn.rategraph import output_frames_node

SHIPPED = find_model("audioset-small")


@pytest.mark.parametrize("mel", [PAPER, AUDIOSET_SMALL, replace(PAPER, hop=441, sample_rate=44_100)], ids=str)
def test_a_graph_counts_output_frames_as_python_does(mel: MelConfig) -> None:
    """Exactly: 33.3 fps of 500 frames is 166.5, and float32's 33.3 a little less."""
    waveform, fps = (
        ir.val(name, dtype=ir.DataType.FLOAT, shape=size) for name, size in (("w", [1, "n"]), ("fps", []))
    )
    tape = Tape()
    count = output_frames_node(tape, waveform, fps, replace(CARD, mel=mel))
    count.type, count.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([1])
    graph = ir.Graph([waveform, fps], [count], nodes=tape.nodes, opset_imports={"": 18}, name="count")
    session = session_of(ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString())
    random, silence = np.random.default_rng(0), np.zeros((1, 20 * mel.sample_rate), np.float32)
    lengths = [2, mel.minimum_samples, mel.minimum_samples + 1, *random.integers(2, silence.shape[1], 60)]
    for length in (int(length) for length in (*lengths, *(k * 500 * mel.hop + 1 for k in range(1, 4)))):
        for rate in (12.5, 20, 25, 33.3, 50, 66.6, 75, 100, *random.uniform(10, 100, 10)):
            feed = {"w": silence[:, :length], "fps": np.array(rate, np.float32)}
            expected = output_frames_at(rate, mel.frames(length), mel.frame_rate)
            assert session.run(None, feed)[0].tolist() == [expected], (length, rate)


@pytest.mark.parametrize("rates", [(25, 50, 100), range(20, 40), (33.3, 33.3, 20)], ids=str)
def test_a_runtime_serves_one_rate_after_another(rates: Sequence[float]) -> None:
    """More of them than it keeps sessions for, too."""
    runtime, waveform = OnnxRuntime(read_model(SHIPPED), "cpu"), bursts(1, 40_000).numpy()
    for fps in (*rates, *rates):
        (merged,) = runtime.run(waveform, fps, ["merged"]).values()
        assert merged.shape[2] == output_frames_at(fps, AUDIOSET_SMALL.frames(40_000), 100.0)


@pytest.mark.parametrize("fps", [0, 19.9, 101, float("nan"), float("inf"), 1e300])
def test_a_rate_that_is_not_served_is_refused(fps: float) -> None:
    model = read_model(SHIPPED)
    for attempt in (
        lambda: OnnxRuntime(model, "cpu", fps=fps),
        lambda: OnnxRuntime(model, "cpu").run(np.zeros((1, 16_000), np.float32), fps),
    ):
        with pytest.raises(UsageError, match=r"fps .*: audioset-small serves 20 to 100 frames"):
            attempt()
