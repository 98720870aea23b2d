"""Whether an ONNX model keeps data in other files: read from its bytes, before ONNX Runtime sees them.

A tensor may name a file, which ONNX Runtime looks for in the working directory when it is given bytes.
Protobuf's wire format, in which an ONNX file is written, is a sequence of fields, each a number and a value.
Numbers of fields are those of onnx.proto; fields that lead to no tensor are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

# What holds a tensor: the kind of message, then the number of a field -> the kind of message in it.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {13: "elsewhere", 14: "elsewhere"},  # external_data; data_location, where it is not 0
}
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST = 10  # bytes of a number
_LARGEST_KEY = 2**32 - 1  # protobuf drops what is above: another number would hide a field


def has_external_data(model: bytes) -> bool:
    """Whether a tensor anywhere in a serialised model is kept in another file.

    Raises:
        ValueError: not a serialised model.
    """
    if b"location" not in model:  # the key under which a file is named
        return False
    waiting = [("model", memoryview(model))]
    try:
        while waiting:
            kind, message = waiting.pop()
            for number, value in _fields(message):
                inside = _INSIDE[kind].get(number)
                if inside == "elsewhere" and value not in (b"", 0):
                    return True
                if inside in _INSIDE and not isinstance(value, int):
                    waiting.append((inside, value))
    except IndexError:
        raise ValueError("it ends in the middle of a field") from None
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a serialised message: number and value. Raises IndexError where one goes beyond it."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if key > _LARGEST_KEY or kind not in (_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES):
            raise ValueError(f"it has a field of kind {kind}, number {key >> 3}")
        if kind == _VARINT:
            number, position = _varint(message, position)
            yield key >> 3, number
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
        if size is None:
            size, position = _varint(message, position)
        if size > len(message) - position:
            raise IndexError
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number written seven bits a byte, the lowest first, and the position after it."""
    number = 0
    for place in range(_LONGEST):
        byte = message[position + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, position + place + 1
    raise ValueError("it has a number that never ends")
