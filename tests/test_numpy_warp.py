"""NumPy's warp against the loop, the matrix and torch's, and in what must hold exactly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import references as slow
import torch

from diffres_cli.melconfig import AUDIOSET_SMALL
from diffres_cli.model import importance as by_torch
from diffres_cli.model.frontends import build_front_end
from diffres_cli.model.reductions import diffres_picture
from diffres_cli.variant import PLAIN
from diffres_cli.warp import rescale, warp

LOG = AUDIOSET_SMALL.log
SIZES = [(1, 1), (2, 1), (7, 7), (99, 98), (100, 37), (101, 20), (1001, 1001), (1001, 1000), (1003, 250)]


def sounds(batch: int, frames: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Mel power, loud and silent by turns, and logits as far apart as `spread`: [B, 128, T], [B, T]."""
    rng = np.random.default_rng(frames)
    level = rng.random((batch, 1, frames)) ** 8 * (rng.random((batch, 1, frames)) > 0.2)
    mel = rng.random((batch, 128, frames)) * level
    return mel.astype(np.float32), rng.normal(0, spread, (batch, frames)).astype(np.float32)


@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0, 30.0])
@pytest.mark.parametrize(("frames", "slots"), SIZES)
def test_it_is_torch_s(frames: int, slots: int, spread: float) -> None:
    mel, logits = sounds(2, frames, spread)
    found = warp(mel, logits, slots, LOG)
    importance = by_torch.rescale(torch.from_numpy(logits).double().sigmoid(), slots)
    log = build_front_end("mel", AUDIOSET_SMALL).log
    merged, picture = diffres_picture(torch.from_numpy(mel), importance, slots, log, PLAIN)
    np.testing.assert_allclose(found.importance, importance, atol=1e-6)
    np.testing.assert_allclose(found.merged, merged, rtol=1e-5, atol=1e-9)
    # The angles of late frames reach 1,000, where float32 tells apart what differs by 6e-5.
    np.testing.assert_allclose(found.picture, picture, atol=1e-4)
    assert [part.dtype for part in found] == [np.float32] * 3


@pytest.mark.parametrize(("frames", "slots"), [(7, 7), (40, 13), (101, 20), (120, 3)])
def test_it_is_the_paper_s(frames: int, slots: int) -> None:
    mel, logits = sounds(1, frames, 3.0)
    found = warp(mel, logits, slots, np.asarray)  # no logarithm
    importance = slow.rescale_loop(1 / (1 + np.exp(-logits[0].astype(float))), slots)
    matrix = slow.warp_by_algorithm_1(importance, slots)
    np.testing.assert_allclose(found.importance[0], importance, atol=1e-6)
    np.testing.assert_allclose(found.merged[0], slow.mean_loop(mel[0], matrix), atol=1e-6)
    largest = (matrix[:, None] * mel[0]).max(2).T * frames / slots
    np.testing.assert_allclose(found.picture[0, 1], largest, atol=1e-6)
    np.testing.assert_array_equal(found.picture[0, 0], found.merged[0])


def test_full_rate_is_the_identity() -> None:
    mel, logits = sounds(1, 1000, 5.0)
    found = warp(mel, logits, 1000, np.asarray)
    np.testing.assert_array_equal(found.importance, np.ones((1, 1000), np.float32))
    np.testing.assert_array_equal(found.merged, mel)
    np.testing.assert_array_equal(found.picture[:, 1], mel)


def test_silence_beside_a_loud_frame_stays_silent() -> None:
    mel = np.zeros((1, 128, 500), np.float32)
    mel[:, :, ::2] = 1e5
    assert (warp(mel, np.zeros((1, 500), np.float32), 500, LOG).merged[:, :, 1::2] == 0).all()


def test_many_frames_of_little_importance_share_a_row() -> None:
    """700 of 1,000 frames fill less than a row: longer than rows that are reduced side by side."""
    mel, logits = sounds(1, 1000, 0.1)
    logits[:, 150:850] -= 12
    found = warp(mel, logits, 100, np.asarray)
    matrix = slow.warp_by_overlap(rescale(logits, 100)[0], 100)
    assert (matrix > 0).sum(1).max() > 600
    np.testing.assert_allclose(found.merged[0], mel[0] @ matrix.T, rtol=1e-4, atol=1e-7)
    largest = (matrix[:, None] * mel[0]).max(2).T * 10
    np.testing.assert_allclose(found.picture[0, 1], largest, rtol=1e-4, atol=1e-7)


def test_no_clip_knows_its_company() -> None:
    mel, logits = sounds(3, 203, 4.0)
    together = warp(mel, logits, 50, LOG)
    for clip in range(3):
        alone = warp(mel[clip : clip + 1], logits[clip : clip + 1], 50, LOG)
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(many[clip], one[0])


def test_logits_without_bounds_do_not_warn() -> None:
    mel, _ = sounds(1, 4, 1.0)
    logits = np.array([[-3e4, 3e4, 0, -800]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance = warp(mel, logits, 1, LOG).importance
    np.testing.assert_allclose(importance, [[0, 2 / 3, 1 / 3, 0]], atol=1e-6)
