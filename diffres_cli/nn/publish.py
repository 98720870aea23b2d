"""Network -> checkpoint folder: graph, weights, labels and those above them, model card, checksums."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import (
    CARD_NAME,
    LABELS_NAME,
    ONNX_NAME,
    PARENTS_NAME,
    SUMS_NAME,
    WEIGHTS_NAME,
)
from diffres_cli.errors import DiffresError
from diffres_cli.files import make_folder, write_atomically
from diffres_cli.nn.export import checked_onnx
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import save_network
from diffres_cli.text import to_csv

_LAST_FACT = "licence"


def publish(network: DiffResNetwork, folder: Path, notes: str = "", parents: bytes = b"") -> float:
    """Write a checkpoint folder ready to ship.

    Args:
        notes: Markdown for the card below the facts: origin, what was measured, limits.
        parents: its parents.csv, empty for none; see `diffres_cli.checkpoint.parents`.

    Returns:
        The largest difference between torch and ONNX Runtime that was found.

    Raises:
        ModelError: the two disagree by more than 1e-4; nothing is written then.
        OutputError: the folder cannot be written.
    """
    make_folder(folder)
    try:
        graph, difference = checked_onnx(network)
    except DiffresError:
        with suppress(OSError):  # it stays where it holds something
            folder.rmdir()
        raise
    write_atomically(folder / ONNX_NAME, graph)
    save_network(network, folder / WEIGHTS_NAME)
    write_atomically(folder / LABELS_NAME, labels_csv(network.card).encode())
    names = [CARD_NAME, LABELS_NAME, ONNX_NAME, WEIGHTS_NAME, *([PARENTS_NAME] if parents else [])]
    if parents:
        write_atomically(folder / PARENTS_NAME, parents)
    else:
        (folder / PARENTS_NAME).unlink(missing_ok=True)  # of the model that was there before
    write_atomically(folder / CARD_NAME, card_markdown(network, notes).encode())
    write_atomically(folder / SUMS_NAME, "".join(_sum(folder / name) for name in sorted(names)).encode())
    return difference


def labels_csv(card: ModelCard) -> str:
    """AudioSet's own layout: index,mid,display_name."""
    rows = zip(map(str, range(len(card.classes))), card.class_ids, card.classes, strict=True)
    return to_csv([("index", "mid", "display_name"), *rows])


def card_markdown(network: DiffResNetwork, notes: str) -> str:
    """The model card: the hub's front matter, the facts, then `notes`."""
    card, mel = network.card, network.card.mel
    shortest = mel.minimum_samples / mel.sample_rate
    facts = {
        "architecture": f"{card.variant}, then {card.architecture}, width {card.width:g}",
        "parameters": f"{sum(p.numel() for p in network.parameters()):,}",
        "classes": f"{len(card.classes)}, {'several' if card.multi_label else 'one'} at a time",
        "frame rate": f"{card.rates} fps, default {card.default_fps:g}",
        "front end": _front_end(card),
        "window": f"made for {card.sample_duration:g} s, any length from {shortest:g} s",
        "trained on": card.trained_on,
        "derived from": card.derived_from or "nothing: trained from scratch",
        _LAST_FACT: card.license,
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    return (
        f"---\nlibrary_name: diffres\nlicense: {card.hub_license}\npipeline_tag: audio-classification\n"
        f"tags: [diffres, audio, onnx]\n---\n\n# {card.name}\n\n| | |\n|---|---|\n{rows}\n\n{notes}".rstrip()
        + "\n"
    )


def _front_end(card: ModelCard) -> str:
    kind, mel = card.variant.front_end, card.mel
    if kind != "mel":
        return f"{kind}, {mel.sample_rate} Hz, hop {mel.hop}, {mel.mel_bins} bins"
    return (
        f"{mel.sample_rate} Hz, {mel.window}-sample Hann window, hop {mel.hop}, {mel.fft}-point FFT, "
        f"{mel.mel_bins} mel bins {mel.low:g} to {mel.high:g} Hz, pre-emphasis {mel.pre_emphasis:g}"
    )


def notes_of(folder: Path) -> str:
    """What stands below the facts of a folder's card, in words `card_markdown` did not write; "" for none."""
    try:
        card = (folder / CARD_NAME).read_text("utf-8")
    except (OSError, ValueError):
        return ""
    return card.partition(f"\n| {_LAST_FACT} |")[2].partition("\n\n")[2]


def _sum(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
