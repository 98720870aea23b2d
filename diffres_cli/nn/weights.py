"""Network <-> one safetensors file that carries its card: no pickle, one file, self-describing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import read_model
from diffres_cli.checkpoint.registry import TRUST_VARIABLE, untrusted
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.files import write_atomically
from diffres_cli.nn.network import DiffResNetwork


def save_network(network: DiffResNetwork, path: Path) -> None:
    """Write weights and card to `path`, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(state, network.card.to_metadata()))


def load_network(path: Path, trusted: Collection[str] = ()) -> DiffResNetwork:
    """Read the network a safetensors file describes, in evaluation mode.

    Args:
        trusted: import paths that the file may name. Others are refused: a model runs no code it chose.

    Raises:
        ModelError: unreadable or damaged, not a diffres model, or weights that do not fit its card.
    """
    return network_from_bytes(read_model(path).data, str(path), trusted)


def network_from_bytes(data: bytes, path: str, trusted: Collection[str] = ()) -> DiffResNetwork:
    """The network a safetensors file's bytes describe; `path` is for messages.

    Raises:
        ModelError: not a safetensors file, not a diffres model, or weights that do not fit its card.
    """
    try:
        state = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: not a safetensors file ({error})") from error
    card = ModelCard.from_metadata(header.get("__metadata__", {}), path)
    if foreign := untrusted(card.import_paths, trusted):
        raise ModelError(
            f"{path}: needs the code of {', '.join(foreign)}, and a model file may not choose code: look at "
            f"it, then allow it with {TRUST_VARIABLE}={','.join(foreign)}, or with load_network(trusted=...)"
        )
    return network_from(card, state, path)


def network_from(card: ModelCard, state: dict[str, Tensor], path: str) -> DiffResNetwork:
    """A network in evaluation mode holding `state`.

    Counters of batches seen (BatchNorm's num_batches_tracked) may be missing, and torch sets them to 0;
    nothing else may.

    Raises:
        ModelError: an architecture we do not have, or weights that do not fit the card.
    """
    try:
        network = DiffResNetwork(card)
    except UsageError as error:
        raise ModelError(f"{path}: {error}") from error
    _check_anchors(card, state, path)
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: weights do not fit {card.architecture} ({_last_line(error)})") from error
    missing, unexpected = (
        [name.removeprefix("reduction.") for name in names] for names in (missing, unexpected)
    )
    if missing or unexpected:
        raise ModelError(
            f"{path}: weights do not fit {card.architecture}: {len(missing)} missing "
            f"({', '.join(missing[:2])}), {len(unexpected)} unexpected ({', '.join(unexpected[:2])})"
        )
    return network.eval()


def _check_anchors(card: ModelCard, state: dict[str, Tensor], path: str) -> None:
    """Raises ModelError where the weights have other anchors than the card, or one that was never trained."""
    anchors, batches = card.variant.anchors, state.get("conditioning.batches")
    if batches is None or not anchors:
        return  # weights that do not fit otherwise
    if len(batches) != len(anchors):
        raise ModelError(
            f"{path}: its card has {len(anchors)} anchors ({_as_rates(anchors)}), its weights have "
            f"{len(batches)}: export it again from the run that trained it"
        )
    trained = [fps for fps, count in zip(anchors, batches.tolist(), strict=True) if count > 0]
    if missing := [fps for fps in anchors_within(card) if fps not in trained]:
        raise ModelError(
            f"{path}: it serves {card.minimum_fps:g} to {card.maximum_fps:g} fps, but has no statistics for "
            f"{_as_rates(missing)}, only for {_as_rates(trained)}: train it at all of its anchors"
        )


def anchors_within(card: ModelCard) -> list[float]:
    """The anchors that count at some rate of the card: those in its range, and the next on each side."""
    anchors, low, high = card.variant.anchors, card.minimum_fps, card.maximum_fps
    first = max((i for i, fps in enumerate(anchors) if fps >= high), default=0)
    last = min((i for i, fps in enumerate(anchors) if fps <= low), default=len(anchors) - 1)
    return list(anchors[first : last + 1])


def _as_rates(anchors: Iterable[float]) -> str:
    return f"{', '.join(f'{fps:g}' for fps in anchors) or 'no'} fps"


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()
