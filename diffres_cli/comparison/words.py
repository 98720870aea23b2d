"""What cells are called in tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.plan import FULL

REDUCTIONS: Mapping[str, str] = {
    "diffres": "DiffRes",
    "hop": "Change hop",
    "frame-picking": "Frame picking",
    "average-pool": "AvgPool",
    "max-pool": "MaxPool",
    "average-max-pool": "AvgMaxPool",
    "conv-average-pool": "ConvAvgPool",
}
FRONT_ENDS: Mapping[str, str] = {
    "paper": "Mel",
    "audioset-small": "Mel (32 kHz)",
    "leaf": "LEAF",
    "sincnet": "SincNet",
    "td-filterbanks": "TD-filterbanks",
    "stft": "STFT",
    "cqt": "CQT",
}
USUAL_HOP = 10.0  # ms
USUAL_FRONT_END = "paper"
DIFFRES = "diffres"


def hop_of(cell: Cell) -> float:
    """The hop of its front end, ms."""
    mel = cell.recipe.model.mel
    return 1000 * mel.hop / mel.sample_rate


def dataset_of(cell: Cell) -> str:
    """What it is trained and tested on."""
    return cell.recipe.data.dataset


def is_plain(cell: Cell) -> bool:
    """Whether its front end's frames all reach the classifier: a pooling at the full rate pools nothing."""
    return cell.recipe.model.reduction != DIFFRES and cell.rates[0] == cell.recipe.model.mel.frame_rate


def is_published(cell: Cell) -> bool:
    """Whether it is what the paper compares: DiffRes or a rival of it, with nothing else changed."""
    model = cell.recipe.model
    return (model.front_end, hop_of(cell), cell.variant) == (USUAL_FRONT_END, USUAL_HOP, FULL)


def reduction_words(cell: Cell, *, hop: bool = True) -> str:
    """How it comes to its frames, and whatever else is not the paper's.

    Args:
        hop: tell another hop than the paper's.
    """
    model = cell.recipe.model
    words = REDUCTIONS.get(model.reduction, model.reduction)
    if model.front_end != USUAL_FRONT_END:
        words = f"{front_end_words(cell)} + {words}"
    return _marked(words, cell, hop)


def front_end_words(cell: Cell) -> str:
    """What its frames are of."""
    name = cell.recipe.model.front_end
    return FRONT_ENDS.get(name, name)


def chain_words(cell: Cell, *, plain: bool = True) -> str:
    """Front end and reduction, the latter also where it reduces nothing unless `plain`."""
    model = cell.recipe.model
    words = front_end_words(cell)
    if not (plain and is_plain(cell)):
        words += f" + {REDUCTIONS.get(model.reduction, model.reduction)}"
    return _marked(words, cell, True)


def _marked(words: str, cell: Cell, hop: bool) -> str:
    return ", ".join([words, *_marks(cell, hop)])


def _marks(cell: Cell, hop: bool) -> Iterator[str]:
    rate = cell.recipe.rate
    if hop and hop_of(cell) != USUAL_HOP:
        yield f"{hop_of(cell):g} ms hop"
    if cell.variant != FULL:
        yield cell.variant
    if rate.minimum < rate.maximum:
        yield f"one network for {rate.minimum:g} to {rate.maximum:g} fps"
