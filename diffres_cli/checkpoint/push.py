"""A checkpoint folder, complete and true to its own card -> the hub."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import CARD_NAME, LABELS_NAME, ONNX_NAME, OPTIONAL, REQUIRED, check_folder
from diffres_cli.checkpoint.hub.reference import Reference
from diffres_cli.checkpoint.hub.session import hub_session
from diffres_cli.errors import ModelError, OutputError, UsageError
from diffres_cli.text import NotTextError, lines_of

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

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


def push_folder(
    folder: Path, reference: Reference, read_card: Callable[[Path], ModelCard], *, private: bool = False
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
    if reference.revision is not None:
        raise UsageError(f"{reference}: a push makes a commit of its own: write {Reference(reference.repo)}")
    problems = check_folder(folder, complete=True) or find_card_faults(folder, read_card(folder / ONNX_NAME))
    if problems:
        raise ModelError(
            f"{folder}: not pushed: {'; '.join(problems)}: `diffres export` writes complete folders"
        )
    with hub_session(reference, writing=True) as api:
        api.create_repo(reference.repo, private=private or None, exist_ok=True)
        info = api.model_info(reference.repo)
        if private and not info.private:
            raise UsageError(f"{reference}: exists and is public: make it private on the hub, or push it so")
        there = {file.rfilename for file in info.siblings or []}
        changes = _changes(folder, there)
        commit = api.create_commit(reference.repo, changes, commit_message=f"diffres: {folder.name}")
    if not commit.oid:
        raise OutputError(f"{reference}: the hub made no commit")
    return reference.at(commit.oid)


def _changes(folder: Path, there: Collection[str]) -> list[CommitOperationAdd | CommitOperationDelete]:
    """The files of a checkpoint that are here, and the removal of those that are only on the hub."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    names = [*REQUIRED, *(name for name in OPTIONAL if (folder / name).exists())]
    stale = [name for name in OPTIONAL if name not in names and name in there]
    return [
        *(CommitOperationAdd(name, folder / name) for name in names),
        *(CommitOperationDelete(name) for name in stale),
    ]


def find_card_faults(folder: Path, card: ModelCard) -> list[str]:
    """What the model card (README.md) and labels.csv lack, or state other than the graph's own card."""
    text = (folder / CARD_NAME).read_text("utf-8", "replace")
    return [
        *_card_faults(card),
        *_front_matter_faults(folder / CARD_NAME, card),
        *_table_faults(text, card),
        *_label_faults(folder, card),
    ]


def _card_faults(card: ModelCard) -> list[str]:
    facts = {"architecture": card.architecture, "license": card.license, "trained_on": card.trained_on}
    blank = [name for name, value in facts.items() if not value.strip()]
    return [f"{ONNX_NAME} does not state {name}" for name in blank]


def _front_matter_faults(path: Path, card: ModelCard) -> list[str]:
    from huggingface_hub import metadata_load

    try:
        found = metadata_load(path) or {}
    except Exception as error:  # the YAML library is huggingface_hub's own choice
        return [f"{CARD_NAME} has no valid front matter ({str(error).partition(chr(10))[0]})"]
    wanted = {"library_name": "diffres", "license": card.hub_license, "pipeline_tag": "audio-classification"}
    return [
        f"{CARD_NAME} needs `{name}: {value}` in its front matter, not {found.get(name)!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]


def _table_faults(text: str, card: ModelCard) -> list[str]:
    rows = dict(_ROW.findall(text))
    lacking = [fact for fact in FACTS if not rows.get(fact)]
    model = {"trained on": card.trained_on, "licence": card.license}
    wrong = [fact for fact, value in model.items() if fact not in lacking and rows[fact] != value]
    return [
        *([f"{CARD_NAME} lacks {', '.join(lacking)}"] if lacking else []),
        *(f"{CARD_NAME} says {fact} {rows[fact]!r}, {ONNX_NAME} {model[fact]!r}" for fact in wrong),
    ]


def _label_faults(folder: Path, card: ModelCard) -> list[str]:
    try:
        rows = [tuple(row[1:]) for row in csv.reader(lines_of(folder / LABELS_NAME))][1:]
    except (NotTextError, csv.Error) as error:
        return [f"{LABELS_NAME}: {error}"]
    same = rows == list(zip(card.class_ids, card.classes, strict=True))
    return [] if same else [f"{LABELS_NAME} does not hold the model's classes"]
