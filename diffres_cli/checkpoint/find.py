"""A name, path or hf:ORG/NAME -> the verified model file. Shipped models live in checkpoints/."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffres_cli.checkpoint.hub.cache import branches, find_snapshot, remove_cached, repo_folder, snapshots
from diffres_cli.checkpoint.hub.reference import Reference, is_reference, reference_of
from diffres_cli.errors import ModelError, SettingError, UsageError
from diffres_cli.files import reason
from diffres_cli.text import NotTextError, nearest, read_text, shortened

DEFAULT_MODEL = "audioset-small"
ONNX_NAME, WEIGHTS_NAME, SUMS_NAME = "model.onnx", "weights.safetensors", "SHA256SUMS"
CARD_NAME, LABELS_NAME, PARENTS_NAME = "README.md", "labels.csv", "parents.csv"
REQUIRED = (SUMS_NAME, CARD_NAME, LABELS_NAME, ONNX_NAME)
OPTIONAL = (WEIGHTS_NAME, PARENTS_NAME)
_HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class ModelFile:
    """A model file and its folder's parents.csv, empty without one; checksums verified where stated."""

    path: Path
    data: bytes
    parents: bytes = b""

    @property
    def name(self) -> str:
        """See `model_name`."""
        return model_name(self.path)

    @property
    def is_onnx(self) -> bool:
        """Whether it is a graph for ONNX Runtime, or weights for torch."""
        return self.path.suffix == ".onnx"


def model_name(path: Path) -> str:
    """hf:ORG/NAME@COMMIT in a hub cache, the folder's name in a checkpoint folder, else the file's stem."""
    if path.name not in (ONNX_NAME, WEIGHTS_NAME):
        return path.stem
    return str(reference_of(path) or path.parent.name)


def shipped_models() -> dict[str, Path]:
    """Checkpoint folders that came with the package, by name, also where files of them are gone.

    >>> "audioset-small" in shipped_models()
    True
    """
    # Next to the modules in an installed package, at the top of the repository in a checkout.
    roots = (_HERE / "checkpoints", _HERE.parent / "checkpoints")
    parts = (file for root in roots for name in REQUIRED for file in root.glob(f"*/{name}"))
    found = {file.parent.name: file.parent for file in parts}
    return dict(sorted(found.items()))


def hub_models() -> dict[str, Path]:
    """Checkpoint folders installed from a hub, by name with commit, also where files of them are gone.

    A download that was cut off is none: no branch means it yet, and its graph, which comes last, is missing.
    """
    return {
        str(reference): folder
        for reference, folder in snapshots()
        if _is_checkpoint(folder) and (_holds(folder, ONNX_NAME) or branches(reference))
    }


def find_model(model: str | Path, *, weights: bool = False, offline: bool = False) -> Path:
    """The file behind a shipped name, a folder, an .onnx or .safetensors file, or hf:ORG/NAME[@REVISION].

    A model on a hub is downloaded when it is not in the cache. One that is there is used as it is, without
    asking the network whether its branch has moved: `install_model` does that.

    Args:
        weights: a folder's torch weights, not its graph; they stand in for it where there is none, too.
        offline: never use the network.

    Raises:
        UsageError: nothing of that name. OutputError: no room to download it.
        ModelError: a folder without a model, another file type, or a download that fails.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise SettingError("model", shortened(model), "expected a name or a path")
    if is_reference(model):
        return _on_hub(Reference.parse(str(model)), weights, offline)
    path = shipped_models().get(str(model), Path(model))
    if path.is_dir():
        return _file_in(path, weights)
    if not path.exists():
        raise UsageError(_unknown(str(model)))
    if path.suffix not in (".onnx", ".safetensors"):
        raise ModelError(f"{path}: expected an .onnx or .safetensors file, or a checkpoint folder")
    if weights and path.suffix == ".onnx":
        raise UsageError(f"{path}: the torch backend needs weights, a .safetensors file or a folder with one")
    return path


def install_model(model: str, *, weights: bool = False, offline: bool = False) -> Path:
    """Download hf:ORG/NAME[@REVISION], or what is missing or damaged of it, at what its branch is now.

    Args:
        weights: the torch weights too. offline: fail instead of using the network.

    Returns:
        Its folder, every file of which has been verified.

    Raises:
        UsageError: not on the hub. OutputError: no room for it. ModelError: it cannot be fetched, or its
        files are not those its SHA256SUMS states; the revision installed before stays in use.
    """
    from diffres_cli.checkpoint.hub.download import download_files

    # The graph last: then all is there.
    names = [*REQUIRED[:-1], PARENTS_NAME, *([WEIGHTS_NAME] if weights else []), ONNX_NAME]
    check = partial(_check_sums, model)
    return download_files(Reference.parse(model), names, check, optional=(PARENTS_NAME,), offline=offline)


def remove_model(model: str) -> list[str]:
    """Delete what `install_model` installed: all revisions, or the one named.

    Returns:
        The names of what was removed.

    Raises:
        UsageError: not installed, or shipped with the package. OutputError: the cache cannot be written.
    """
    if model in shipped_models():
        raise UsageError(f"{model}: came with the package; only models from a hub can be removed")
    reference = Reference.parse(model)
    wanted = find_snapshot(reference) if reference.revision else repo_folder(reference)
    chosen = [name for name, folder in hub_models().items() if wanted in (folder, folder.parent.parent)]
    if not chosen:
        raise UsageError(f"{model}: not installed; `diffres models` lists what is")
    remove_cached(reference)
    return chosen


def check_folder(folder: Path, *, complete: bool = False) -> list[str]:
    """What is wrong with a checkpoint folder: files missing, unlisted or not as SHA256SUMS states.

    Args:
        complete: all that SHA256SUMS states must be there, and not only what every checkpoint holds.
    """
    stated = _stated_sums(folder)
    expected = {*REQUIRED, *(name for name in OPTIONAL if _holds(folder, name))}
    expected |= stated.keys() if complete else stated.keys() & {PARENTS_NAME}
    problems = {name: _problem(folder / name, stated.get(name)) for name in sorted(expected - {SUMS_NAME})}
    none = [f"{SUMS_NAME} is missing, empty or not text"] if not stated else []
    return none + [f"{name} {problem}" for name, problem in problems.items() if problem]


def read_model(path: Path) -> ModelFile:
    """Read a model file and check it against the SHA256SUMS next to it, where there is one.

    Raises:
        ModelError: it or its folder's parents.csv cannot be read, or its checksum is not the one stated.
    """
    return ModelFile(path, _read_verified(path), read_parents(path))


def read_parents(model: Path) -> bytes:
    """The parents.csv beside a model file in a checkpoint folder; empty where the folder has none.

    Raises:
        ModelError: see `read_model`; it is stated in SHA256SUMS, and gone.
    """
    path = model.with_name(PARENTS_NAME)
    in_folder = model.name in (ONNX_NAME, WEIGHTS_NAME)
    wanted = in_folder and (_holds(path.parent, path.name) or path.name in _stated_sums(path.parent))
    return _read_verified(path) if wanted else b""


def _read_verified(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {reason(error)}") from error
    stated = _stated_sums(path.parent).get(path.name)
    if stated is not None and stated != (actual := hashlib.sha256(data).hexdigest()):
        raise ModelError(
            f"{path}: damaged: SHA-256 is {actual[:12]}…, {SUMS_NAME} says {stated[:12]}…: install it again"
        )
    return data


def _on_hub(reference: Reference, weights: bool, offline: bool) -> Path:
    name = WEIGHTS_NAME if weights else ONNX_NAME
    folder = find_snapshot(reference)
    if folder is None:
        folder = install_model(str(reference), weights=weights, offline=offline)
    elif not _is_whole(folder, name):  # cut off, or other software's
        pinned = str(reference.at(folder.name))
        folder = install_model(pinned, weights=weights, offline=offline)
    return folder / name


def _is_whole(folder: Path, name: str) -> bool:
    """Whether a model file is there as stated, and what stands beside it for tagging."""
    stated = _stated_sums(folder).keys()
    return name in stated and all((folder / each).exists() for each in {name, PARENTS_NAME} & stated)


def _is_checkpoint(folder: Path) -> bool:
    try:
        return "library_name: diffres" in (folder / CARD_NAME).read_text("utf-8", "replace")[:1000]
    except OSError:  # the card itself is gone
        return _holds(folder, SUMS_NAME) and _holds(folder, LABELS_NAME)


def _holds(folder: Path, name: str) -> bool:
    """Whether a file is there, or a link whose file is gone."""
    return os.path.lexists(folder / name)


def _check_sums(model: str, folder: Path) -> None:
    problems = check_folder(folder)
    if problems:
        raise ModelError(f"{model}: not installed, its files contradict each other: {'; '.join(problems)}")


def _problem(path: Path, stated: str | None) -> str:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {reason(error)}"
    if stated is None:
        return f"is not in {SUMS_NAME}"
    return "" if actual == stated else f"has SHA-256 {actual[:12]}…, {SUMS_NAME} says {stated[:12]}…"


def _stated_sums(folder: Path) -> dict[str, str]:
    try:
        lines = read_text(folder / SUMS_NAME).splitlines()
    except (OSError, NotTextError):
        return {}
    return {name.lstrip("*"): digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def _file_in(folder: Path, weights: bool) -> Path:
    wanted = folder / (WEIGHTS_NAME if weights else ONNX_NAME)
    if wanted.exists():
        return wanted
    if wanted.name in _stated_sums(folder):
        raise ModelError(f"{folder}: {SUMS_NAME} lists {wanted.name}, which is gone: install the model again")
    if (folder / WEIGHTS_NAME).exists():
        return folder / WEIGHTS_NAME  # a training run's, which torch can run
    raise ModelError(f"{folder}: a checkpoint folder must hold {wanted.name}, and this one does not")


def _unknown(model: str) -> str:
    shipped = list(shipped_models())
    hint = nearest(model, shipped, f"shipped: {', '.join(shipped) or 'none'}")
    return f"unknown model {model!r}: {hint}; or give a path to a folder, .onnx or .safetensors file"
