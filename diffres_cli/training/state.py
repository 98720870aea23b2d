"""Lightning's checkpoint as one safetensors file: tensors as tensors, everything else as JSON, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from diffres_cli.errors import ModelError
from diffres_cli.files import reason, write_atomically

FORMAT = "diffres-training/1"


class SafetensorsIO(CheckpointIO):
    """How Lightning writes and reads checkpoints here: whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: it cannot be written; the one that stood there stands.
        """
        tensors: dict[str, Tensor] = {}
        state = _pack(checkpoint, "", tensors)
        write_atomically(Path(path), save(tensors, {"format": FORMAT, "state": json.dumps(state)}))

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, on the CPU.

        Raises:
            ModelError: it cannot be read, or is damaged.
        """
        try:
            data = Path(path).read_bytes()
            tensors = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            state = json.loads(header["__metadata__"]["state"])
            checkpoint: dict[str, Any] = _unpack(state, tensors)
        except OSError as error:
            raise ModelError(f"{path}: {reason(error)}") from error
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: damaged checkpoint ({error}): start the run again") from error
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON holds it; tensors go into `tensors` under their place in it."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"checkpoint: {name} is a {type(value).__name__}, which is neither tensor nor plain value"
    )


def _unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(value, tensors) for key, value in content}
    values = [_unpack(value, tensors) for value in content]
    return tuple(values) if kind == "tuple" else values
