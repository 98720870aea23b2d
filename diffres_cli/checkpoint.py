"""A name or path -> the verified model file and its folder. Shipped models live in checkpoints/."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from diffres_cli.errors import ModelError, UsageError
from diffres_cli.files import reason

DEFAULT_MODEL = "audioset-small"
ONNX_NAME, WEIGHTS_NAME, SUMS_NAME = "model.onnx", "weights.safetensors", "SHA256SUMS"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ModelFile:
    """A model file whose checksum was verified where its folder states one."""

    path: Path
    data: bytes

    @property
    def name(self) -> str:
        """The folder's name for a file in a checkpoint folder, else the file's own stem."""
        return self.path.parent.name if self.path.name in (ONNX_NAME, WEIGHTS_NAME) else self.path.stem

    @property
    def is_onnx(self) -> bool:
        """Whether it is a graph for ONNX Runtime, or weights for torch."""
        return self.path.suffix == ".onnx"


def shipped_models() -> dict[str, Path]:
    """Checkpoint folders that came with the package, by name.

    >>> "audioset-small" in shipped_models()
    True
    """
    # Beside the modules in an installed package, at the top of the repository in a checkout.
    roots = (_HERE / "checkpoints", _HERE.parent / "checkpoints")
    found = {file.parent.name: file.parent for root in roots for file in root.glob(f"*/{ONNX_NAME}")}
    return dict(sorted(found.items()))


def find_model(model: str | Path, *, weights: bool = False) -> Path:
    """The file behind a shipped name, a checkpoint folder, an .onnx or a .safetensors file.

    Args:
        weights: prefer a folder's torch weights to its graph.

    Raises:
        UsageError: nothing of that name. ModelError: a folder without a model, or another file type.
    """
    path = shipped_models().get(str(model), Path(model))
    if path.is_dir():
        return _in_folder(path, weights)
    if not path.exists():
        raise UsageError(_unknown(str(model)))
    if path.suffix not in (".onnx", ".safetensors"):
        raise ModelError(f"{path}: expected an .onnx or .safetensors file, or a checkpoint folder")
    if weights and path.suffix == ".onnx":
        raise UsageError(f"{path}: the torch backend needs weights, a .safetensors file or a folder with one")
    return path


def read_model(path: Path) -> ModelFile:
    """Read a model file and check it against the SHA256SUMS beside it, where there is one.

    Raises:
        ModelError: it cannot be read, or its checksum is not the one stated.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {reason(error)}") from error
    stated = _stated_sums(path.parent).get(path.name)
    if stated is not None and stated != (actual := hashlib.sha256(data).hexdigest()):
        raise ModelError(
            f"{path}: damaged: SHA-256 is {actual[:12]}…, {SUMS_NAME} says {stated[:12]}…: install it again"
        )
    return ModelFile(path, data)


def _stated_sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS_NAME).read_text("utf-8").splitlines()
    except OSError:
        return {}
    return {name.lstrip("*"): digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def _in_folder(folder: Path, weights: bool) -> Path:
    wanted = folder / (WEIGHTS_NAME if weights else ONNX_NAME)
    if not wanted.exists():
        raise ModelError(f"{folder}: a checkpoint folder must hold {wanted.name}, and this one does not")
    return wanted


def _unknown(model: str) -> str:
    shipped = list(shipped_models())
    near = difflib.get_close_matches(model, shipped, n=1)
    hint = f"did you mean {near[0]}" if near else f"shipped: {', '.join(shipped) or 'none'}"
    return f"unknown model {model!r}: {hint}; or give a path to a folder, .onnx or .safetensors file"
