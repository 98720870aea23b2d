"""How clips are cut and batched for evaluation, and the shipped model on the whole way."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from command import EXAMPLES, invoke
from evaluated import WINDOW, hearing_network

from diffres_cli.audio import windows
from diffres_cli.evaluation.scoring import cut_windows, window_batches

CARD = hearing_network().card
ESC10 = Path(__file__).parent.parent.parent / "shared" / "data" / "esc-50-part"


def test_windows_are_those_of_diffres_tag() -> None:
    size, least = round(WINDOW * CARD.sample_rate), CARD.mel.minimum_samples
    lengths = [1, least, size - 1, size, size + least - 1, size + least, 2 * size, 3 * size + least + 5]
    for clip, length in enumerate(lengths):
        expected = [(first, len(held)) for first, held in windows([np.zeros(length)], size, size, least)]
        found = [window for window in cut_windows(CARD, lengths) if window.clip == clip]
        assert [(window.first, window.samples) for window in found] == expected
    assert len(cut_windows(CARD, lengths)) > len(lengths)


def test_batches_hold_windows_of_one_length_and_all_of_them() -> None:
    held = cut_windows(CARD, [100_000, 50_000, 100_000, 300_000, 50_000, 50_000])
    found = list(window_batches(held, 2))
    assert sorted(window for batch in found for window in batch) == sorted(held)
    assert all(len({window.samples for window in batch}) == 1 and len(batch) <= 2 for batch in found)
    assert max(len(batch) for batch in found) == 2


@pytest.mark.skipif(not ESC10.is_dir(), reason="needs ../shared/data/esc-50-part")
def test_the_shipped_model_on_esc10_by_its_map() -> None:
    labels = EXAMPLES / "maps" / "esc10_audioset.csv"
    words = ["--dataset", "esc10", "--data", ESC10, "--map", labels, "--fps", "50", "--limit", "4"]
    result = invoke("eval", *words, "-f", "csv", "-q")
    rows = list(csv.DictReader(result.out.splitlines()))
    assert [(row["split"], row["clips"]) for row in rows] == [(f"fold{i}", "4") for i in range(1, 6)]
    assert sum(float(row["accuracy"]) for row in rows) / 5 > 0.8
