"""The bytes of an ONNX model, read and changed before ONNX Runtime sees them, without the package onnx.

A tensor may name a file, which ONNX Runtime looks for in the working directory when it is given bytes. And
what follows from an input is computed at every run, from a constant once, at load: hence `with_fixed_rate`.
Protobuf's wire format, in which an ONNX file is written, is a sequence of fields, each a number and a value.
Numbers of fields are those of onnx.proto; fields that lead to no tensor are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

FPS_INPUT = "fps"  # the input of a graph: output frames per second, a float32 scalar

# What holds a tensor: the kind of message, then the number of a field -> the kind of message in it.
_NESTED = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {13: "external", 14: "external"},  # external_data; data_location, where it is not 0
}
_GRAPH, _INITIALIZER, _INPUT = 7, 5, 11  # fields of a model, and of its graph
_NAME = {_INITIALIZER: 8, _INPUT: 1}
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10  # bytes of a number
_LARGEST_KEY = 2**32 - 1  # protobuf drops what is above: another number would hide a field
_LARGEST_SCALAR = 1000  # bytes, its name and description included
_TRUNCATED = "it ends in the middle of a field"


_Field: TypeAlias = tuple[int, "memoryview | int", memoryview]  # number, value, both as they were written


def has_external_data(model: bytes) -> bool:
    """Whether a tensor anywhere in a serialised model is kept in another file.

    Raises:
        ValueError: not a serialised model.
    """
    if b"location" not in model:  # the key under which a file is named
        return False
    waiting = [("model", memoryview(model))]
    while waiting:
        kind, message = waiting.pop()
        for number, value, _ in _fields(message):
            inside = _NESTED[kind].get(number)
            if inside == "external" and value not in (b"", 0):
                return True
            if inside in _NESTED and not isinstance(value, int):
                waiting.append((inside, value))
    return False


def with_fixed_rate(model: bytes, fps: float | None = None) -> bytes:
    """A serialised model without the input `fps`, which becomes a constant; the same where it has none.

    Args:
        fps: its value; None: the model's default.

    Raises:
        ValueError: not a serialised model.
    """
    parts: list[bytes | memoryview] = []  # joined once: a copy of a model takes as long as this walk
    for number, value, written in _fields(memoryview(model)):
        fixed = _with_constant_rate(value, fps) if number == _GRAPH and not isinstance(value, int) else None
        parts += fixed or [written]
    return b"".join(parts)


def _with_constant_rate(graph: memoryview, fps: float | None) -> list[bytes | memoryview] | None:
    """The field that holds the graph, in parts; None where it has no rate among its inputs."""
    parts: list[bytes | memoryview] = []
    default, is_input = memoryview(b""), False
    for number, value, written in _fields(graph):
        if number not in _NAME or isinstance(value, int) or not _is_rate(number, value):
            parts.append(written)
        elif number == _INPUT:
            is_input = True
        else:
            default = written
    parts.append(default if fps is None else _length_delimited(_INITIALIZER, _scalar(FPS_INPUT, fps)))
    return [_head(_GRAPH, sum(map(len, parts))), *parts] if is_input else None


def _scalar(name: str, value: float) -> bytes:
    """A float32 tensor without dimensions: its data_type is 1, its bytes are raw_data."""
    kind = bytes([2 << 3 | _VARINT, 1])
    return (
        kind
        + _length_delimited(_NAME[_INITIALIZER], name.encode())
        + _length_delimited(9, struct.pack("<f", value))
    )


def _length_delimited(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, size: int) -> bytes:
    """What stands before so many bytes of a field."""
    return bytes([number << 3 | _LENGTH_DELIMITED]) + _encode_varint(size)


def _encode_varint(number: int) -> bytes:
    """A number, seven bits a byte, the lowest first; all but the last byte have their eighth bit set."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _encode_varint(rest) if rest else bytes([low])


def _is_rate(number: int, value: memoryview) -> bool:
    """Whether an input or an initializer is the rate; a weight is too large to be it."""
    if len(value) > _LARGEST_SCALAR:
        return False
    names = (each for key, each, _ in _fields(value) if key == _NAME[number] and not isinstance(each, int))
    return FPS_INPUT.encode() in map(bytes, names)


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of a serialised message.

    Raises:
        ValueError: it is none, or ends too soon.
    """
    position = 0
    while position < len(message):
        start = position
        key, position = _read_varint(message, position)
        kind = key & 7
        if key > _LARGEST_KEY or kind not in (_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32):
            raise ValueError(f"it has a field of kind {kind}, number {key >> 3}")
        size, value = {_FIXED64: 8, _FIXED32: 4}.get(kind), 0
        if size is None:  # the number itself, or how many bytes follow
            value, position = _read_varint(message, position)
            size = value if kind == _LENGTH_DELIMITED else 0
        if size > len(message) - position:
            raise ValueError(_TRUNCATED)
        held = message[position : position + size]
        position += size
        yield key >> 3, value if kind == _VARINT else held, message[start:position]


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number as `_encode_varint` writes it, and the position after it."""
    byte = message[position] if position < len(message) else 0x80
    if byte < 0x80:
        return byte, position + 1
    number = 0
    for place, byte in enumerate(message[position : position + _LONGEST]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, position + place + 1
    ended = len(message) - position < _LONGEST
    raise ValueError(_TRUNCATED if ended else "it has a number that never ends")
