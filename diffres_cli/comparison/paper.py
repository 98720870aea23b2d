"""What cells are called in tables and figures, and the paper's own figures for them.

The figures are percent: mAP on AudioSet and FSD50K, accuracy elsewhere; from H. Liu, X. Liu, Q. Kong, W. Wang
and M. D. Plumbley, Learning Temporal Resolution in Spectrogram for Audio Classification, AAAI 2024, Tables 1
to 3. They are shown next to ours only where the data has the same name and nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.plan import FULL

REDUCTION_TITLES: Mapping[str, str] = {
    "diffres": "DiffRes",
    "hop": "Change hop",
    "frame-picking": "Frame picking",
    "average-pool": "AvgPool",
    "max-pool": "MaxPool",
    "average-max-pool": "AvgMaxPool",
    "conv-average-pool": "ConvAvgPool",
}
FRONT_END_TITLES: Mapping[str, str] = {
    "paper": "Mel",
    "audioset-small": "Mel (32 kHz)",
    "leaf": "LEAF",
    "sincnet": "SincNet",
    "td-filterbanks": "TD-filterbanks",
    "stft": "STFT",
    "cqt": "CQT",
}
# Table 1, at 100 fps without reduction.
BASELINE: Mapping[str, float] = {
    "audioset": 43.7,
    "fsd50k": 55.6,
    "esc50": 85.2,
    "speechcommands": 97.2,
    "nsynth": 79.9,
}
_FRONT_END, _HOP, _DIFFRES = "paper", 10.0, "diffres"  # hop in ms
_FULL_RATE = 100.0  # fps, of the paper's baseline, Table 2 and Table 3
_RATES = (25.0, 50.0, 75.0)
# Table 1, by reduction, then by frame rate.
_TABLE1_REDUCTIONS = ("hop", "average-pool", "conv-average-pool", "diffres")
_TABLE1 = {
    "audioset": ((38.6, 41.8, 42.7), (39.9, 42.4, 43.6), (40.1, 42.7, 43.5), (41.7, 43.6, 44.2)),
    "fsd50k": ((48.9, 53.3, 54.8), (51.4, 54.5, 55.3), (49.2, 52.2, 54.4), (56.9, 57.2, 57.1)),
    "esc50": ((74.6, 82.4, 84.9), (75.6, 83.2, 85.2), (72.4, 77.3, 81.8), (82.9, 85.5, 86.8)),
    "speechcommands": ((93.5, 96.1, 96.8), (94.9, 96.0, 96.9), (95.8, 96.0, 97.0), (95.0, 96.7, 97.2)),
    "nsynth": ((79.7, 79.9, 79.8), (78.3, 79.5, 79.6), (78.0, 79.4, 79.7), (80.5, 81.0, 80.8)),
}
# Table 2, DiffRes at 100 fps, by hop.
_HOPS = (10.0, 6.0, 3.0, 1.0)
_TABLE2 = {
    "audioset": (43.7, 44.1, 43.8, 43.7),
    "esc50": (85.2, 87.2, 88.0, 88.4),
    "speechcommands": (97.2, 97.6, 97.9, 97.8),
    "nsynth": (79.9, 81.3, 81.8, 80.6),
}
# Table 3, at 100 fps, by front end; the last is mel with DiffRes.
_TABLE3_FRONT_ENDS = ("paper", "td-filterbanks", "sincnet", "leaf", "paper diffres")
_TABLE3 = {
    "speechcommands": (93.6, 89.5, 91.4, 93.6, 95.4),
    "nsynth": (70.7, 66.3, 67.4, 70.2, 78.5),
}


def hop_of(cell: Cell) -> float:
    """The hop of its front end, ms."""
    mel = cell.recipe.model.mel
    return 1000 * mel.hop / mel.sample_rate


def dataset_of(cell: Cell) -> str:
    """The name of what it is trained and tested on."""
    return cell.recipe.data.dataset


def reduction_name(cell: Cell, *, hop: bool = True) -> str:
    """Its reduction, and whatever else is not the paper's; another hop only with `hop`."""
    model = cell.recipe.model
    name = REDUCTION_TITLES.get(model.reduction, model.reduction)
    if model.front_end != _FRONT_END:
        name = f"{FRONT_END_TITLES.get(model.front_end, model.front_end)} + {name}"
    return ", ".join([name, *_changes(cell, hop)])


def front_end_name(cell: Cell, *, plain: bool = True) -> str:
    """Its front end and reduction, the latter also where it reduces nothing unless `plain`."""
    model = cell.recipe.model
    name = FRONT_END_TITLES.get(model.front_end, model.front_end)
    if not (plain and _is_plain(cell)):
        name += f" + {REDUCTION_TITLES.get(model.reduction, model.reduction)}"
    return ", ".join([name, *_changes(cell, True)])


def published_by_rate(cell: Cell, fps: float) -> float | None:
    """Table 1."""
    model, table = cell.recipe.model, _TABLE1.get(dataset_of(cell))
    unchanged = (model.front_end, hop_of(cell), cell.variant) == (_FRONT_END, _HOP, FULL)
    if not unchanged or not table or model.reduction not in _TABLE1_REDUCTIONS or fps not in _RATES:
        return None
    return table[_TABLE1_REDUCTIONS.index(model.reduction)][_RATES.index(fps)]


def published_by_hop(cell: Cell, hop: float) -> float | None:
    """Table 2; `hop` in ms."""
    table, model = _TABLE2.get(dataset_of(cell)), cell.recipe.model
    unchanged = (model.reduction, cell.rates[0], cell.variant) == (_DIFFRES, _FULL_RATE, FULL)
    return table[_HOPS.index(hop)] if unchanged and table and hop in _HOPS else None


def published_by_front_end(cell: Cell, dataset: str) -> float | None:
    """Table 3."""
    table, model = _TABLE3.get(dataset), cell.recipe.model
    diffres = model.reduction == _DIFFRES
    unchanged = (cell.variant, cell.rates[0]) == (FULL, _FULL_RATE) and (diffres or _is_plain(cell))
    name = f"{model.front_end} diffres" if diffres else model.front_end
    if not unchanged or not table or name not in _TABLE3_FRONT_ENDS:
        return None
    return table[_TABLE3_FRONT_ENDS.index(name)]


def _is_plain(cell: Cell) -> bool:
    """Whether its front end's frames all reach the classifier: a pooling at the full rate pools nothing."""
    return cell.recipe.model.reduction != _DIFFRES and cell.rates[0] == cell.recipe.model.mel.frame_rate


def _changes(cell: Cell, hop: bool) -> Iterator[str]:
    rate = cell.recipe.rate
    if hop and hop_of(cell) != _HOP:
        yield f"{hop_of(cell):g} ms hop"
    if cell.variant != FULL:
        yield cell.variant
    if rate.minimum < rate.maximum:
        yield f"one network for {rate.minimum:g} to {rate.maximum:g} fps"
