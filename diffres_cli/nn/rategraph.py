"""The inputs of an exported graph: `fps` with a default, from which t is computed inside.

torch.onnx takes t only as a shape ("Could not guard on data-dependent expression"), so that it exports a
network with an input `output_frames`, float32 [t]. Here nodes that compute t replace whoever reads its
length.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.inference.graph import FPS_INPUT
from diffres_cli.inference.timing import MINIMUM_OUTPUT_FRAMES

_INPUTS = (("batch", "samples"), ("output_frames",))
_OUTPUTS = {
    "probabilities": ("batch", None),
    "framewise": ("batch", "columns", None),
    "importance": ("batch", "frames"),
    "mel": ("batch", None, "frames"),
    "merged": ("batch", None, "output_frames"),
    "embedding": ("batch", None),
}


def give_rate_input(graph: ir.Graph, card: ModelCard) -> None:
    """Take (waveform, fps) for the exporter's (waveform, output_frames, fps), and name the dimensions."""
    waveform, output_frames, fps = graph.inputs
    _name_dimensions(graph, waveform, output_frames)
    tape = Tape()
    count = output_frames_node(tape, waveform, fps, card)
    for reader, _ in output_frames.uses():
        assert reader.op_type == "Shape"
        reader.outputs[0].replace_all_uses_with(count)
        graph.remove(reader, safe=True)
    graph.insert_before(graph[0], tape.nodes)
    graph.inputs[:] = [waveform, fps]
    fps.name, fps.const_value = FPS_INPUT, ir.tensor(np.float32(card.default_fps), name=FPS_INPUT)
    graph.register_initializer(fps)


def output_frames_node(tape: Tape, waveform: ir.Value, fps: ir.Value, card: ModelCard) -> ir.Value:
    """Nodes that compute t as `diffres_cli.inference.timing.output_frames_at` does; int64 [1].

    Args:
        tape: the nodes are recorded there. waveform: float32 [B, N]. fps: float32 scalar.
    """
    mel = card.mel

    def integer(value: int) -> ir.Value:
        return tape.op("Constant", [], {"value_ints": [value]})

    def double(value: ir.Value) -> ir.Value:
        return tape.op("Cast", [value], {"to": ir.DataType.DOUBLE})

    samples = tape.op(
        "Max", [tape.op("Shape", [waveform], {"start": 1, "end": 2}), integer(mel.minimum_samples)]
    )
    hops = tape.op("Div", [tape.op("Sub", [samples, integer(int(bool(mel.pre_emphasis)))]), integer(mel.hop)])
    frames = tape.op("Add", [hops, integer(1)])
    frame_rate = tape.op("Constant", [], {"value": ir.tensor(np.float64(mel.frame_rate))})
    exact = tape.op("Div", [tape.op("Mul", [double(fps), double(frames)]), frame_rate])
    rounded = tape.op("Cast", [tape.op("Round", [exact])], {"to": ir.DataType.INT64})
    return tape.op("Min", [frames, tape.op("Max", [rounded, integer(MINIMUM_OUTPUT_FRAMES)])])


def _name_dimensions(graph: ir.Graph, *inputs: ir.Value) -> None:
    """Words for the exporter's symbols, s16 and the like; other sizes that are not fixed have no name."""
    ends = [
        *zip(inputs, _INPUTS, strict=True),
        *((value, _OUTPUTS[str(value.name)]) for value in graph.outputs),
    ]
    sizes = [pair for value, names in ends for pair in zip(value.shape or (), names, strict=True)]
    known = {str(size): name for size, name in sizes if isinstance(size, ir.SymbolicDim) and name}
    for value in (*inputs, *(output for node in graph for output in node.outputs)):
        if value.shape is not None:
            value.shape = ir.Shape(
                [size if isinstance(size, int) else known.get(str(size)) for size in value.shape]
            )
