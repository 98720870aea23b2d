"""Parts of an ONNX graph, cut out of its bytes: what lies between some tensors and some others.

ONNX Runtime computes a graph as a whole, whatever outputs are asked for: half of one needs a file of that
half. The `onnx` package could cut it, and is no dependency of an installed diffres. Protobuf's wire format,
in which an ONNX file is written, is a sequence of fields, each a number and bytes: those of nodes and weights
are passed on as they are, and only names are read. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

_GRAPH = 7  # of ModelProto
_NODE, _TITLE, _WEIGHT, _INPUT, _OUTPUT, _INSIDE = 1, 2, 5, 11, 12, 13  # of GraphProto
_READS, _WRITES = 1, 2  # of NodeProto
_WEIGHT_NAME, _DECLARED_NAME = 8, 1  # of TensorProto, ValueInfoProto
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5


class _Field(NamedTuple):
    """A field: its number, its value, and the two as they were written."""

    number: int
    value: memoryview
    raw: memoryview


class Node(NamedTuple):
    """An operation: the tensors it reads and writes, and its bytes."""

    reads: frozenset[str]
    writes: frozenset[str]
    raw: memoryview


class Graph:
    """A serialised model, to be cut.

    Raises:
        ValueError: not a serialised model.
    """

    def __init__(self, model: bytes) -> None:
        self._around = list[memoryview]()  # what a model holds beside its graph: versions, metadata
        self._nodes = list[Node]()
        self._weights = dict[str, memoryview]()
        self._declared = list[memoryview]()
        try:
            for field in _fields(memoryview(model)):
                if field.number == _GRAPH:
                    self._read(field.value)
                else:
                    self._around.append(field.raw)
        except IndexError as error:
            raise ValueError("a serialised model ends in the middle of a field") from error

    def part(self, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
        """A model of what `outputs` need beyond `inputs`: the names of any tensors of the graph.

        Raises:
            ValueError: no such tensors, or `outputs` need more than `inputs`.
        """
        nodes, read = self._between(inputs, outputs)
        made = {name for node in nodes for name in node.writes}
        missing = {*outputs, *read} - made - self._weights.keys() - {*inputs}
        if missing:
            raise ValueError(f"the graph lacks {', '.join(sorted(missing))}")
        graph: list[bytes | memoryview] = [
            _head(_TITLE, 4),
            b"part",
            *(node.raw for node in nodes),
            *(raw for name, raw in self._weights.items() if name in read),
        ]
        for number, names in ((_INPUT, inputs), (_OUTPUT, outputs)):
            for name in names:
                declaration = self._declaration(name)
                graph += [_head(number, len(declaration)), declaration]
        return b"".join([*self._around, _head(_GRAPH, sum(map(len, graph))), *graph])

    def _between(self, inputs: Collection[str], outputs: Collection[str]) -> tuple[list[Node], set[str]]:
        """The operations in question, in their order, and all that they read."""
        needed = {*outputs} - {*inputs}
        kept = []
        for node in reversed(self._nodes):  # an operation stands after all that it reads
            if node.writes & needed:
                kept.append(node)
                needed |= node.reads - {*inputs}
        return kept[::-1], {name for node in kept for name in node.reads if name}

    def _read(self, graph: memoryview) -> None:
        for field in _fields(graph):
            if field.number == _NODE:
                self._nodes.append(_node(field))
            elif field.number == _WEIGHT:
                self._weights[_name(field.value)] = field.raw
            elif field.number in (_INPUT, _OUTPUT, _INSIDE):
                self._declared.append(field.value)

    def _declaration(self, name: str) -> memoryview:
        """Type and shape of a tensor."""
        text = name.encode()
        start = _head(_DECLARED_NAME, len(text)) + text
        for declaration in self._declared:
            if declaration[: len(start)] == start:
                return declaration
        raise ValueError(f"the graph lacks {name}")


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of a serialised message."""
    position = 0
    while position < len(message):
        begin = position
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            _, end = _varint(message, position)
        elif kind == _SIZED:
            size, position = _varint(message, position)
            end = position + size
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            end = position + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"a serialised model has no fields of kind {kind}")
        if end > len(message):
            raise IndexError
        yield _Field(key >> 3, message[position:end], message[begin:end])
        position = end


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number written seven bits a byte, the lowest first, and the position after it."""
    number = shift = 0
    while True:
        byte = message[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
        shift += 7


def _head(number: int, size: int) -> bytes:
    """What is written before the bytes of a field."""
    return _written(number << 3 | _SIZED) + _written(size)


def _written(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + _written(number >> 7)


def _node(field: _Field) -> Node:
    names: dict[int, set[str]] = {_READS: set(), _WRITES: set()}
    for part in _fields(field.value):
        if part.number in names:
            names[part.number].add(str(part.value, "utf-8"))
    return Node(frozenset(names[_READS]), frozenset(names[_WRITES]), field.raw)


def _name(weight: memoryview) -> str:
    return next(str(field.value, "utf-8") for field in _fields(weight) if field.number == _WEIGHT_NAME)
