"""A float graph -> its INT8 twin: static quantisation, calibrated on real sound.

Only the pointwise convolutions of the backbone are quantised, with the ReLUs behind them: they are most
of its multiplications, and of all that can be quantised they alone gain speed. Depthwise convolutions
are slower in INT8; the first layer, squeeze-and-excitation and the head cost accuracy and save no time
(`bench/int8.py`). Mel, importance, warp and logarithm stay float.

Weights are int8, one scale an output channel. Activations are uint8; their range leaves out the extreme
0.001 % at either end of what the calibration showed, which a single click would else decide.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorsData

from diffres_cli.errors import ModelError
from diffres_cli.prediction import Floats

Feed = dict[str, Floats]

SCHEME = "INT8 pointwise convolutions, QDQ, per channel"
PERCENTILE = 99.999
DRAWN = 20_000  # values of a tensor and window, at random: enough to find the percentile among many windows
_FEATURES = "network.backbone.features."
_SQUEEZE_EXCITATION = re.compile(r"\.fc[12]\.")


def quantize(
    graph: bytes, feeds: Iterable[Feed], choose: Callable[[onnx.ModelProto], list[str]] | None = None
) -> bytes:
    """A graph whose chosen nodes run in INT8, with the same inputs, outputs and metadata.

    Args:
        graph: as `diffres_cli.model.export` makes it. feeds: its inputs, for calibration.
        choose: the names of the nodes to quantise; None: `pointwise`.

    Raises:
        ModelError: none of its nodes is one to quantise.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph))
    names = (choose or pointwise)(model)
    nodes = [node for node in model.graph.node if node.name in set(names)]
    if not nodes:
        raise ModelError("INT8: this graph has no pointwise convolutions to quantise")
    quantizer = QDQQuantizer(
        model, per_channel=True, reduce_range=False, weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8, tensors_range=_ranges(model, nodes, feeds),
        nodes_to_quantize=names, nodes_to_exclude=[],
        op_types_to_quantize=sorted({node.op_type for node in nodes}), extra_options={},
    )  # fmt: skip
    with _quiet():
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    twin = quantizer.model.model
    twin.producer_name = model.producer_name
    onnx.helper.set_model_props(twin, _metadata(onnx.load_model_from_string(graph)))
    data: bytes = twin.SerializeToString()
    return data


def with_metadata(graph: bytes, entries: Mapping[str, str]) -> bytes:
    """The same graph with these entries added to its metadata."""
    model = onnx.load_model_from_string(graph)
    onnx.helper.set_model_props(model, _metadata(model) | dict(entries))
    data: bytes = model.SerializeToString()
    return data


def pointwise(model: onnx.ModelProto) -> list[str]:
    """The names of the backbone's 1 x 1 convolutions, but not squeeze-and-excitation's, and their ReLUs."""
    shapes = {weights.name: tuple(weights.dims) for weights in model.graph.initializer}

    def is_pointwise(node: onnx.NodeProto) -> bool:
        if node.op_type != "Conv" or not node.input[1].startswith(_FEATURES):
            return False
        return set(shapes[node.input[1]][2:]) == {1} and not _SQUEEZE_EXCITATION.search(node.input[1])

    convolutions = [node for node in model.graph.node if is_pointwise(node)]
    made = {node.output[0] for node in convolutions}
    rectified = [node for node in model.graph.node if node.op_type == "Relu" and node.input[0] in made]
    return [node.name for node in (*convolutions, *rectified)]


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _ranges(model: onnx.ModelProto, nodes: list[onnx.NodeProto], feeds: Iterable[Feed]) -> TensorsData:
    """The ranges of what goes into the nodes and comes out of them.

    The library's own percentiles need gigabytes after a silent first window, and windows of equal length.
    """
    names = sorted({name for node in nodes for name in (node.input[0], node.output[0])})
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for feed in feeds:
        for name, values in zip(names, session.run(names, feed), strict=True):
            drawn[name].append(values.reshape(-1)[generator.integers(values.size, size=DRAWN)])
    tails = (100 - PERCENTILE, PERCENTILE)
    ranges = {name: np.percentile(np.concatenate(drawn[name]), tails).astype(np.float32) for name in names}
    return TensorsData(CalibrationMethod.MinMax, {name: tuple(ends) for name, ends in ranges.items()})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's running commentary."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
