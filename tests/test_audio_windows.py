"""Windows of a stream against the same rule written on the whole recording at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffres_cli.audio import excerpt, windows


def windows_of_a_list(
    samples: list[float], size: int, hop: int, minimum: int
) -> list[tuple[int, list[float]]]:
    """The rule as one would say it: cut, then look at what the last window adds to the one before."""
    cut: list[tuple[int, list[float]]] = []
    first = 0
    while samples:
        cut.append((first, samples[first : first + size]))
        if first + size >= len(samples):
            break
        first += hop
    if len(cut) > 1:
        before = cut[-2][0]
        added = len(samples) - (before + size)
        if added < minimum:
            cut[-2:] = [(before, samples[before:])]
        elif len(samples) - first < size:
            cut[-1] = (len(samples) - size, samples[-size:])
    return cut


@st.composite
def streams(draw: st.DrawFn) -> list[np.ndarray]:
    """A recording of up to 60 numbered samples, in blocks of any size, empty ones too."""
    lengths = draw(st.lists(st.integers(0, 12), max_size=8))
    ends = np.cumsum([0, *lengths])
    return [np.arange(a, b, dtype=np.float32) for a, b in pairwise(ends)]


def cut(blocks: list[np.ndarray], size: int, hop: int, minimum: int) -> list[tuple[int, list[float]]]:
    return [(first, window.tolist()) for first, window in windows(blocks, size, hop, minimum)]


def joined(blocks: list[np.ndarray]) -> list[float]:
    return [sample for block in blocks for sample in block.tolist()]


@given(streams(), st.integers(1, 14), st.data())
def test_windows_follow_the_rule(blocks: list[np.ndarray], size: int, data: st.DataObject) -> None:
    hop = data.draw(st.integers(1, size))
    minimum = data.draw(st.integers(0, hop))
    assert cut(blocks, size, hop, minimum) == windows_of_a_list(joined(blocks), size, hop, minimum)


@given(streams(), st.integers(1, 14), st.data(), st.integers(0, 40))
def test_no_sample_is_lost_or_made_up(
    blocks: list[np.ndarray], size: int, data: st.DataObject, minimum: int
) -> None:
    hop = data.draw(st.integers(1, size))
    samples, got = joined(blocks), cut(blocks, size, hop, minimum)
    assert {sample for _, window in got for sample in window} == set(samples)
    assert [first for first, _ in got[:-1]] == [hop * index for index in range(len(got[:-1]))]
    assert all(window == samples[first : first + size] for first, window in got[:-1])
    assert all(window == samples[first:] for first, window in got[-1:])
    assert all(min(size, len(samples)) <= len(window) < size + max(minimum, 1) for _, window in got[-1:])
    assert all(len(samples) - (first + size) >= minimum for first, _ in got[:-1])


def test_a_window_is_given_as_soon_as_it_is_decided() -> None:
    taken = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield np.zeros(10, np.float32)

    next(windows(blocks(), size=100, hop=100, minimum=20))
    assert taken == 12


@pytest.mark.parametrize(("size", "hop", "minimum"), [(4, 5, 0), (4, 0, 0), (0, 0, 0), (4, 4, -1)])
def test_windows_that_would_lose_samples_are_refused(size: int, hop: int, minimum: int) -> None:
    with pytest.raises(ValueError, match="1 <= hop <= size and minimum >= 0"):
        next(windows([], size, hop, minimum))


@given(streams(), st.integers(0, 70), st.none() | st.integers(0, 70))
def test_an_excerpt_is_a_slice(blocks: list[np.ndarray], first: int, count: int | None) -> None:
    got = joined(list(excerpt(blocks, first, count)))
    assert got == joined(blocks)[first : None if count is None else first + count]
