"""A model's bytes: refused where they keep data in other files, and changed to serve one frame rate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper

from diffres_cli.checkpoint.find import find_model, read_model
from diffres_cli.errors import ModelError
from diffres_cli.inference.graph import has_external_data, with_fixed_rate
from diffres_cli.tagging.tagger import load_tagger

MODEL = read_model(find_model("audioset-small")).data


def tensor(*, external: bool = True) -> TensorProto:
    found = TensorProto(name="location", data_type=TensorProto.FLOAT, dims=[1])
    if external:
        found.data_location = TensorProto.EXTERNAL
        found.external_data.add(key="location", value="/etc/passwd")
    return found


def graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return onnx.GraphProto(name="g", node=nodes)


def node(**attributes: object) -> onnx.NodeProto:
    made = helper.make_node("If", [], ["y"])
    for name, value in attributes.items():
        attribute = made.attribute.add(name=name)
        field = getattr(attribute, name)
        field.extend(value) if isinstance(value, list) else field.CopyFrom(value)
    return made


def constant(each: TensorProto) -> onnx.NodeProto:
    return node(t=each)


def sparse(each: TensorProto, place: str) -> SparseTensorProto:
    made = SparseTensorProto()
    getattr(made, place).CopyFrom(each)
    return made


PLACES: dict[str, Callable[[TensorProto], onnx.ModelProto]] = {
    "initializer": lambda each: onnx.ModelProto(graph=onnx.GraphProto(initializer=[each])),
    "sparse values": lambda each: onnx.ModelProto(
        graph=onnx.GraphProto(sparse_initializer=[sparse(each, "values")])
    ),
    "sparse indices": lambda each: onnx.ModelProto(
        graph=onnx.GraphProto(sparse_initializer=[sparse(each, "indices")])
    ),
    "attribute": lambda each: onnx.ModelProto(graph=graph(constant(each))),
    "list": lambda each: onnx.ModelProto(graph=graph(node(tensors=[tensor(external=False), each]))),
    "sparse attribute": lambda each: onnx.ModelProto(
        graph=graph(node(sparse_tensor=sparse(each, "values")))
    ),
    "subgraph": lambda each: onnx.ModelProto(graph=graph(node(g=graph(constant(each))))),
    "subgraph of a list": lambda each: onnx.ModelProto(
        graph=graph(node(graphs=[graph(), graph(node(g=graph(constant(each))))]))
    ),
    "function": lambda each: onnx.ModelProto(functions=[onnx.FunctionProto(node=[constant(each)])]),
    "default of a function": lambda each: onnx.ModelProto(
        functions=[onnx.FunctionProto(attribute_proto=[constant(each).attribute[0]])]
    ),
    "training": lambda each: onnx.ModelProto(
        training_info=[onnx.TrainingInfoProto(algorithm=onnx.GraphProto(initializer=[each]))]
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_wherever_it_is(place: str) -> None:
    assert has_external_data(PLACES[place](tensor()).SerializeToString())
    assert not has_external_data(PLACES[place](tensor(external=False)).SerializeToString())


def test_one_external_weight_among_many_is_refused_whatever_lies_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_from_string(MODEL)
    onnx.save(model, tmp_path / "odd.onnx", save_as_external_data=True, location="weights.bin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"odd\.onnx: keeps weights in another file"):
        load_tagger(tmp_path / "odd.onnx")


def test_a_model_in_another_format_of_onnx_runtime_is_refused(tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    disguised = (tmp_path / "model.ort").rename(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="not a model ONNX Runtime can run"):
        load_tagger(disguised)


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes, kind: int = 2) -> bytes:
    return varint(number << 3 | kind) + varint(len(content)) + content


# What C++ readers drop of a number that is too large would hide a field from us.
@pytest.mark.parametrize(
    "data",
    [
        field(7, field(5, field(13 + 2**32, b"location"))),
        field(7 + 2**40, b"location"),
        varint(7 << 3 | 2) + b"\xff" * 9 + b"\x01location",
        varint(7 << 3 | 2) + b"\xff" * 12 + b"location",
        b"\x3a\xff\xfflocation",
        varint(7 << 3 | 3) + b"location",
        b"\x80" * 100 + b"location",
        b"location",
    ],
)
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        has_external_data(data)


def test_the_depth_of_a_model_costs_no_stack() -> None:
    data = PLACES["attribute"](tensor()).SerializeToString()[2:]  # a graph's content, in a graph, in a graph
    for _ in range(5000):
        data = field(1, field(5, field(6, data)))
    assert has_external_data(field(7, data))


def test_a_number_written_at_length_is_the_same_number() -> None:
    long_key = bytes([14 << 3 | 0x80, 0x80, 0x00])
    model = field(7, field(5, field(8, b"location") + long_key + b"\x01"))
    assert has_external_data(model)


def rated(*, default: float | None = 50.0) -> onnx.ModelProto:
    """A graph that takes `fps`, between other inputs and constants."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["fps", "x"], ["sum"]), helper.make_node("Add", ["sum", "two"], ["y"])],
        "rated",
        [value("fps", TensorProto.FLOAT, []), value("x", TensorProto.FLOAT, [])],
        [value("y", TensorProto.FLOAT, [])],
        [helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])],
    )
    if default is not None:
        graph.initializer.insert(0, helper.make_tensor("fps", TensorProto.FLOAT, [], [default]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


RATED = rated().SerializeToString()
SMALL = PLACES["subgraph of a list"](tensor()).SerializeToString()


@given(st.integers(0, len(SMALL) - 1), st.binary(max_size=12), st.integers(0, 12))
def test_a_model_with_some_bytes_changed_is_read_or_refused(place: int, change: bytes, gone: int) -> None:
    data = SMALL[:place] + change + SMALL[place + gone :] + b"location"
    with suppress(ValueError):
        has_external_data(data)


@pytest.mark.parametrize(("default", "fps", "expected"), [(50, None, 50), (50, 33.3, 33.3), (None, 25, 25)])
def test_a_fixed_rate_is_a_constant_and_no_input(
    default: float | None, fps: float | None, expected: float
) -> None:
    model = rated(default=default)
    fixed = onnx.load_from_string(with_fixed_rate(model.SerializeToString(), fps))
    onnx.checker.check_model(fixed, full_check=True)
    assert [each.name for each in fixed.graph.input] == ["x"]
    constants = {each.name: numpy_helper.to_array(each) for each in fixed.graph.initializer}
    assert constants.keys() == {"fps", "two"}
    assert constants["fps"] == np.float32(expected)
    assert constants["fps"].shape == ()
    for graph in (model.graph, fixed.graph):  # nothing else changed
        del graph.input[:], graph.initializer[:]
    assert fixed == model


def test_a_model_without_a_rate_stays_as_it_is() -> None:
    fixed = with_fixed_rate(RATED, 25)
    assert fixed != RATED
    assert with_fixed_rate(fixed, 30) == fixed


def test_an_older_graph_says_how_to_make_a_new_one(tmp_path: Path) -> None:
    model = onnx.load_from_string(MODEL)
    model.graph.input[1].name = "slots"
    del model.graph.initializer[[each.name for each in model.graph.initializer].index("fps")]
    for each in model.graph.node:
        each.input[:] = ["slots" if name == "fps" else name for name in each.input]
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(ModelError, match=r"old\.onnx: an older graph, .*slots.*`diffres export`"):
        load_tagger(tmp_path / "old.onnx")
