"""A checkpoint folder, complete and true to its own card -> the hub."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import (
    CARD_NAME,
    LABELS_NAME,
    ONNX_NAME,
    OPTIONAL,
    REQUIRED,
    check_folder,
)
from diffres_cli.checkpoint.hub.reference import Reference
from diffres_cli.checkpoint.hub.upload import upload
from diffres_cli.errors import ModelError
from diffres_cli.text import NotTextError, lines_of

FACTS = (
    "architecture",
    "parameters",
    "classes",
    "frame rate",
    "front end",
    "window",
    "trained on",
    "derived from",
    "licence",
)
_ROW = re.compile(r"^\| *([^|\n]+?) *\| *([^|\n]*?) *\|$", re.MULTILINE)


def push(
    folder: Path,
    reference: Reference,
    read_card: Callable[[Path], ModelCard],
    *,
    private: bool = False,
) -> Reference:
    """Commit a checkpoint folder to the hub, in one piece; files that are no part of one stay here.

    Args:
        read_card: reads the card in a graph. private: the model must not be public.

    Returns:
        The commit.

    Raises:
        ModelError: the folder is incomplete, damaged, or contradicts itself; nothing is sent then.
        UsageError: the reference names a revision, or `private` and the model is public.
        OutputError: the hub refuses or cannot be reached; it is unchanged then.
    """
    problems = check_folder(folder, complete=True) or contradictions(folder, read_card(folder / ONNX_NAME))
    if problems:
        raise ModelError(
            f"{folder}: not pushed: {'; '.join(problems)}: `diffres export` writes complete folders"
        )
    names = [*REQUIRED, *(name for name in OPTIONAL if (folder / name).exists())]
    stale = [name for name in OPTIONAL if name not in names]
    return upload(folder, names, reference, stale=stale, private=private, message=f"diffres: {folder.name}")


def contradictions(folder: Path, card: ModelCard) -> list[str]:
    """What the model card (README.md) and labels.csv lack, or state otherwise than the graph's own card."""
    text = (folder / CARD_NAME).read_text("utf-8", "replace")
    return [
        *_of_model(card),
        *_of_front_matter(folder / CARD_NAME, card),
        *_of_table(text, card),
        *_of_labels(folder, card),
    ]


def _of_model(card: ModelCard) -> list[str]:
    facts = {"architecture": card.architecture, "license": card.license, "trained_on": card.trained_on}
    blank = [name for name, value in facts.items() if not value.strip()]
    return [f"{ONNX_NAME} does not state {name}" for name in blank]


def _of_front_matter(path: Path, card: ModelCard) -> list[str]:
    from huggingface_hub import metadata_load

    try:
        found = metadata_load(path) or {}
    except Exception as error:  # the YAML library is huggingface_hub's own choice
        return [f"{CARD_NAME} has no valid front matter ({str(error).partition(chr(10))[0]})"]
    wanted = {
        "library_name": "diffres",
        "license": card.hub_license,
        "pipeline_tag": "audio-classification",
    }
    return [
        f"{CARD_NAME} needs `{name}: {value}` in its front matter, not {found.get(name)!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]


def _of_table(text: str, card: ModelCard) -> list[str]:
    rows = dict(_ROW.findall(text))
    lacking = [fact for fact in FACTS if not rows.get(fact)]
    model = {"trained on": card.trained_on, "licence": card.license}
    wrong = [fact for fact, value in model.items() if fact not in lacking and rows[fact] != value]
    return [
        *([f"{CARD_NAME} lacks {', '.join(lacking)}"] if lacking else []),
        *(f"{CARD_NAME} says {fact} {rows[fact]!r}, {ONNX_NAME} {model[fact]!r}" for fact in wrong),
    ]


def _of_labels(folder: Path, card: ModelCard) -> list[str]:
    try:
        rows = [tuple(row[1:]) for row in csv.reader(lines_of(folder / LABELS_NAME))][1:]
    except (NotTextError, csv.Error) as error:
        return [f"{LABELS_NAME}: {error}"]
    same = rows == list(zip(card.class_ids, card.classes, strict=True))
    return [] if same else [f"{LABELS_NAME} does not hold the model's classes"]
