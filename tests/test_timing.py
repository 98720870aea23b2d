"""Frames in time: counts and rates, and the warp read back in seconds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import rescale_loop, warp_edges_loop

from diffres_cli.inference.timing import frame_times, output_frames_at, warp_edges

HOP = 0.01  # seconds


def importance_of(length: int, output_frames: int, seed: int = 0, power: float = 2.0) -> np.ndarray:
    scores = np.random.default_rng(seed).uniform(0.01, 1, length) ** power
    return rescale_loop(scores, output_frames).astype(np.float32)


@given(st.floats(0.1, 100), st.integers(1, 5000), st.sampled_from([62.5, 100.0, 1000.0]))
def test_output_frames_stay_between_eight_and_all_frames(fps: float, frames: int, frame_rate: float) -> None:
    output_frames = output_frames_at(fps, frames, frame_rate)
    assert min(8, frames) <= output_frames <= frames
    if 8 < output_frames < frames:
        assert output_frames == pytest.approx(frames * fps / frame_rate, abs=0.5)


def test_full_rate_keeps_every_frame() -> None:
    assert all(output_frames_at(100, frames, 100.0) == frames for frames in range(1, 2000))


def test_frames_are_centred_on_multiples_of_the_hop() -> None:
    np.testing.assert_allclose(frame_times(4, 100.0, start=20.0), [20.0, 20.01, 20.02, 20.03])


@pytest.mark.parametrize(("length", "output_frames"), [(1, 1), (8, 8), (40, 39), (40, 13), (200, 8)])
@pytest.mark.parametrize("power", [0.0, 1.0, 6.0])
def test_edges_equal_a_walk_through_the_frames(length: int, output_frames: int, power: float) -> None:
    importance, start, end = importance_of(length, output_frames, power=power), 3.0, 3.0 + length * HOP
    expected = warp_edges_loop(importance.astype(float), output_frames, 100.0, start, end)
    # The importance is float32: a sum of 200 may be off by 1e-5 of a frame, and a thin frame is long.
    np.testing.assert_allclose(warp_edges(importance, output_frames, 100.0, start, end), expected, atol=1e-5)


@given(st.integers(1, 100), st.integers(0, 10**6), st.floats(0, 20), st.data())
@settings(max_examples=100)
def test_edges_run_from_start_to_end_and_never_back(
    length: int, seed: int, power: float, data: st.DataObject
) -> None:
    output_frames = data.draw(st.integers(1, length))
    start, end = 7.0, 7.0 + data.draw(st.floats(1e-4, length * HOP))  # short ones were padded
    edges = warp_edges(importance_of(length, output_frames, seed, power), output_frames, 100.0, start, end)
    assert len(edges) == output_frames + 1
    assert (edges[0], edges[-1]) == (start, end)
    assert (np.diff(edges) >= 0).all()


def test_at_full_rate_each_output_frame_is_its_input_frame() -> None:
    edges = warp_edges(np.ones(5, np.float32), 5, 100.0, 0.0, 0.045)
    np.testing.assert_allclose(edges, [0.0, 0.005, 0.015, 0.025, 0.035, 0.045])


def test_important_frames_get_narrow_rows_and_the_rest_wide_ones() -> None:
    importance = np.array([0.1] * 10 + [1.0] * 4 + [0.1] * 10, np.float32)
    widths = np.diff(warp_edges(importance, 6, 100.0, 0.0, 0.24))
    np.testing.assert_allclose(widths, [0.095, 0.01, 0.01, 0.01, 0.01, 0.105], atol=1e-6)


def test_frames_without_importance_belong_to_the_row_around_them() -> None:
    importance = np.array([1.0, 0.0, 0.0, 1.0], np.float32)
    edges = warp_edges(importance, 2, 100.0, 0.0, 0.04)
    assert edges[0] == 0.0
    assert 0.005 <= edges[1] <= 0.025
    assert edges[2] == 0.04
