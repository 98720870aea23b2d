"""The paper's own figures, in percent: mAP on AudioSet and FSD50K, accuracy elsewhere.

H. Liu, X. Liu, Q. Kong, W. Wang and M. D. Plumbley, Learning Temporal Resolution in Spectrogram for Audio
Classification, AAAI 2024: Tables 1 to 3. They stand beside ours only where the data has the same name.
"""

from __future__ import annotations

from collections.abc import Mapping

_RATES = (25.0, 50.0, 75.0)
_HOPS = (10.0, 6.0, 3.0, 1.0)
_REDUCTIONS = ("hop", "average-pool", "conv-average-pool", "diffres")

# Table 1, at 100 fps without reduction.
BASELINE: Mapping[str, float] = {
    "audioset": 43.7,
    "fsd50k": 55.6,
    "esc50": 85.2,
    "speechcommands": 97.2,
    "nsynth": 79.9,
}
# Table 1, by reduction, then by frame rate.
_TABLE1 = {
    "audioset": ((38.6, 41.8, 42.7), (39.9, 42.4, 43.6), (40.1, 42.7, 43.5), (41.7, 43.6, 44.2)),
    "fsd50k": ((48.9, 53.3, 54.8), (51.4, 54.5, 55.3), (49.2, 52.2, 54.4), (56.9, 57.2, 57.1)),
    "esc50": ((74.6, 82.4, 84.9), (75.6, 83.2, 85.2), (72.4, 77.3, 81.8), (82.9, 85.5, 86.8)),
    "speechcommands": ((93.5, 96.1, 96.8), (94.9, 96.0, 96.9), (95.8, 96.0, 97.0), (95.0, 96.7, 97.2)),
    "nsynth": ((79.7, 79.9, 79.8), (78.3, 79.5, 79.6), (78.0, 79.4, 79.7), (80.5, 81.0, 80.8)),
}
# Table 2, DiffRes at 100 fps, by hop.
_TABLE2 = {
    "audioset": (43.7, 44.1, 43.8, 43.7),
    "esc50": (85.2, 87.2, 88.0, 88.4),
    "speechcommands": (97.2, 97.6, 97.9, 97.8),
    "nsynth": (79.9, 81.3, 81.8, 80.6),
}
# Table 3, at 100 fps, by front end; the last is mel with DiffRes.
_FRONT_ENDS = ("paper", "td-filterbanks", "sincnet", "leaf", "paper diffres")
_TABLE3 = {
    "speechcommands": (93.6, 89.5, 91.4, 93.6, 95.4),
    "nsynth": (70.7, 66.3, 67.4, 70.2, 78.5),
}


def by_reduction(dataset: str, reduction: str, fps: float) -> float | None:
    """Table 1.

    >>> by_reduction("esc50", "diffres", 25.0), by_reduction("esc10", "diffres", 25.0)
    (82.9, None)
    """
    if dataset not in _TABLE1 or reduction not in _REDUCTIONS or fps not in _RATES:
        return None
    return _TABLE1[dataset][_REDUCTIONS.index(reduction)][_RATES.index(fps)]


def by_hop(dataset: str, hop: float) -> float | None:
    """Table 2; `hop` in ms.

    >>> by_hop("nsynth", 3.0)
    81.8
    """
    return _TABLE2[dataset][_HOPS.index(hop)] if dataset in _TABLE2 and hop in _HOPS else None


def by_front_end(dataset: str, front_end: str, diffres: bool) -> float | None:
    """Table 3.

    >>> by_front_end("speechcommands", "leaf", False), by_front_end("speechcommands", "paper", True)
    (93.6, 95.4)
    """
    name = f"{front_end} diffres" if diffres else front_end
    return _TABLE3[dataset][_FRONT_ENDS.index(name)] if dataset in _TABLE3 and name in _FRONT_ENDS else None
