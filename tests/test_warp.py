"""The closed-form warp against Algorithm 1's loop and two dense forms, and its invariants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import references as slow
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d
from torch.utils._python_dispatch import TorchDispatchMode

from diffres_cli.nn.importance import rescale
from diffres_cli.nn.warp import Overlaps, merge_max, merge_mean, overlaps, resolution_encoding

SHAPES = [(1, 1), (2, 1), (7, 3), (8, 8), (33, 32), (50, 49), (60, 15), (101, 25), (101, 99)]
EXACT = 1e-12  # float64, sums of some hundred terms near 1


def importance_of(
    length: int, output_frames: int, seed: int = 0, power: float = 1.0, batch: int = 1
) -> Tensor:
    """Importance [B, T] as the network gives it; a greater power makes it more uneven."""
    scores = torch.rand(batch, length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return rescale(scores**power + 1e-9, output_frames)


def frames_of(length: int, batch: int = 1, bins: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(batch, bins, length, dtype=dtype, generator=torch.Generator().manual_seed(1))


def matrix(where: Overlaps) -> Tensor:
    """The warp matrix the overlaps stand for, [B, t, T]."""
    (batch, length), output_frames = where.rows.shape, where.carried.shape[1]
    clips = torch.arange(batch)[:, None]
    warp = torch.zeros(batch, output_frames, length, dtype=torch.float64)
    warp = warp.index_put((clips, where.rows, torch.arange(length)), where.weights, accumulate=True)
    return warp.index_put(
        (clips, torch.arange(output_frames), where.carried), where.carried_weights, accumulate=True
    )


@st.composite
def importances(draw: st.DrawFn) -> tuple[Tensor, int]:
    length = draw(st.integers(1, 80))
    output_frames = draw(st.integers(1, length))
    power = draw(st.sampled_from([0.0, 0.5, 1.0, 4.0, 20.0]))
    return importance_of(length, output_frames, draw(st.integers(0, 10**6)), power), output_frames


# --- three witnesses


@pytest.mark.parametrize("power", [1.0, 6.0])
@pytest.mark.parametrize(("length", "output_frames"), SHAPES)
@pytest.mark.parametrize(
    "witness",
    [slow.warp_by_algorithm_1, slow.warp_by_shortfall, slow.warp_by_overlap],
    ids=lambda f: f.__name__,
)
def test_overlaps_are_the_papers_matrix(
    witness: Callable[..., slow.Doubles], length: int, output_frames: int, power: float
) -> None:
    importance = importance_of(length, output_frames, power=power)
    expected = witness(importance[0].numpy(), output_frames)
    np.testing.assert_allclose(matrix(overlaps(importance, output_frames))[0], expected, atol=EXACT)


@pytest.mark.parametrize(("length", "output_frames"), SHAPES)
def test_merged_frames_equal_their_loops(length: int, output_frames: int) -> None:
    importance, frames = importance_of(length, output_frames, power=3.0), frames_of(length)
    where = overlaps(importance, output_frames)
    warp = slow.warp_by_algorithm_1(importance[0].numpy(), output_frames)
    x = frames[0].numpy()
    np.testing.assert_allclose(merge_mean(frames, where)[0], slow.mean_loop(x, warp), atol=EXACT)
    np.testing.assert_allclose(merge_max(frames, where)[0], slow.max_loop(x, warp), atol=EXACT)
    encoding = resolution_encoding(where, 6, torch.float64)
    np.testing.assert_allclose(encoding[0], slow.encoding_loop(6, warp), atol=EXACT)


def test_float32_stays_close_at_ten_thousand_frames() -> None:
    importance, frames = importance_of(10_000, 1_000, power=3.0), frames_of(10_000)
    where = overlaps(importance, 1_000)
    for merge in (merge_mean, merge_max):
        torch.testing.assert_close(
            merge(frames.float(), where).double(), merge(frames, where), atol=2e-6, rtol=1e-5
        )


# --- invariants


@given(importances())
@settings(max_examples=200)
def test_every_frames_weight_is_spent_and_every_row_is_full(clip: tuple[Tensor, int]) -> None:
    importance, output_frames = clip
    warp = matrix(overlaps(importance, output_frames))
    torch.testing.assert_close(warp.sum(1), importance, atol=EXACT, rtol=0)
    torch.testing.assert_close(warp.sum(2), torch.ones_like(warp.sum(2)), atol=1e-10, rtol=0)
    assert (warp >= 0).all()


@given(importances())
@settings(max_examples=200)
def test_order_is_kept(clip: tuple[Tensor, int]) -> None:
    importance, output_frames = clip
    # No row holds a frame from before the last frame of the row above.
    held = matrix(overlaps(importance, output_frames))[0] > 1e-9
    position = torch.arange(held.shape[1])
    earliest = torch.where(held, position, held.shape[1]).amin(1)
    latest = torch.where(held, position, -1).amax(1)
    assert (earliest[1:] >= latest[:-1]).all()


@given(importances(), st.floats(1e-6, 1e6))
@settings(max_examples=100)
def test_a_constant_survives_the_mean(clip: tuple[Tensor, int], level: float) -> None:
    importance, output_frames = clip
    constant = torch.full((1, 3, importance.shape[1]), level, dtype=torch.float64)
    expected = torch.full((1, 3, output_frames), level, dtype=torch.float64)
    torch.testing.assert_close(
        merge_mean(constant, overlaps(importance, output_frames)), expected, rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("length", [1, 9, 1000])
def test_full_rate_is_the_identity_to_the_last_bit(length: int) -> None:
    scores = torch.rand(2, length, generator=torch.Generator().manual_seed(3)) ** 5
    where = overlaps(rescale(scores, length), length)
    frames = frames_of(length, batch=2, dtype=torch.float32)
    time = torch.arange(length)
    assert torch.equal(merge_mean(frames, where), frames)
    assert torch.equal(merge_max(frames, where), frames)
    encoding = resolution_encoding(where, 4)
    assert torch.equal(encoding[0, 0], time.float().sin())
    assert torch.equal(encoding[1, 1], time.float().cos())


@pytest.mark.parametrize("group", [1, 2, 5])
def test_flat_importance_is_ordinary_pooling(group: int) -> None:
    frames, output_frames = frames_of(30), 30 // group
    where = overlaps(rescale(torch.full((1, 30), 0.3), output_frames), output_frames)
    torch.testing.assert_close(merge_mean(frames, where), avg_pool1d(frames, group))
    torch.testing.assert_close(merge_max(frames, where), max_pool1d(frames, group))


@given(importances())
@settings(max_examples=100)
def test_no_merged_power_is_negative(clip: tuple[Tensor, int]) -> None:
    # A rounding error of -1e-9 would be NaN after the logarithm.
    importance, output_frames = clip
    frames = frames_of(importance.shape[1], dtype=torch.float32)
    frames[:, :, ::2] = 0
    where = overlaps(importance, output_frames)
    assert (merge_mean(frames, where) >= 0).all()
    assert (merge_max(frames, where) >= 0).all()


def test_rows_of_one_clip_never_leak_into_another() -> None:
    importance, frames = importance_of(40, 13, power=2.0, batch=3), frames_of(40, batch=3)
    together = overlaps(importance, 13)
    for clip in range(3):
        alone = overlaps(importance[clip : clip + 1], 13)
        part = frames[clip : clip + 1]
        assert torch.equal(merge_mean(frames, together)[clip : clip + 1], merge_mean(part, alone))
        assert torch.equal(merge_max(frames, together)[clip : clip + 1], merge_max(part, alone))
        assert torch.equal(resolution_encoding(together, 8)[clip : clip + 1], resolution_encoding(alone, 8))


def test_rows_past_a_padded_clips_share_are_empty() -> None:
    mask = torch.arange(40) < torch.tensor([[40], [25]])
    where = overlaps(rescale(torch.rand(2, 40), 16, mask), 16)
    merged = merge_mean(frames_of(40, batch=2), where)
    assert (merged[1, :, :10] > 0).all()
    assert (merged[1, :, 10:].abs() < EXACT).all()
    assert (merge_max(frames_of(40, batch=2), where)[1, :, 10:].abs() < EXACT).all()


# --- gradients

Merge = Callable[[Tensor, Tensor], Tensor]
MERGES: dict[str, Merge] = {
    "mean": lambda frames, s: merge_mean(frames, overlaps(s, 4)),
    "max": lambda frames, s: merge_max(frames, overlaps(s, 4)),
    "encoding": lambda frames, s: resolution_encoding(overlaps(s, 4), 6, torch.float64),
}


@pytest.mark.parametrize("name", MERGES)
def test_gradients_are_right(name: str) -> None:
    importance = importance_of(9, 4, power=2.0, batch=2).requires_grad_()
    frames = frames_of(9, batch=2, bins=3).requires_grad_()
    # Moving one importance alone shifts every later frame, past the last row too: gradcheck sees it.
    inner = (importance * 0.99).detach().requires_grad_()
    assert torch.autograd.gradcheck(MERGES[name], (frames, inner))


def dense_mean(frames: Tensor, importance: Tensor, output_frames: int) -> Tensor:
    ends = importance.cumsum(1)[:, None]
    rows = torch.arange(output_frames)[:, None]
    warp = torch.minimum(ends, rows + 1) - torch.maximum(ends - importance[:, None], rows)
    return frames @ warp.clamp_min(0).transpose(1, 2)


@pytest.mark.parametrize("output_frames", [1, 13, 49])
def test_gradient_of_the_scores_equals_the_dense_forms(output_frames: int) -> None:
    frames, scores = frames_of(50), frames_of(50, bins=1)[0].requires_grad_()
    importance = rescale(scores, output_frames)
    closed = merge_mean(frames, overlaps(importance, output_frames)).square().sum()
    dense = dense_mean(frames, importance, output_frames).square().sum()
    got, expected = (torch.autograd.grad(loss, scores, retain_graph=True)[0] for loss in (closed, dense))
    torch.testing.assert_close(got, expected, atol=1e-9, rtol=1e-9)


def test_importance_learns_where_the_change_is() -> None:
    """Minimising what the merge loses moves importance to the frames that differ from their neighbours."""
    frames = torch.full((1, 8, 80), 0.1)
    frames[:, :, 30:46] = torch.rand(8, 16, generator=torch.Generator().manual_seed(0))
    logits = torch.zeros(1, 80, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    losses = []
    for _ in range(60):
        importance = rescale(logits.sigmoid(), 20)
        where = overlaps(importance, 20)
        loss = (unmerged(merge_mean(frames, where), where, importance) - frames).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    learned = rescale(logits.detach().sigmoid(), 20)[0]
    assert losses[-1] < 0.5 * losses[0]
    assert learned[30:46].mean() > 1.5 * learned[:30].mean()


def unmerged(merged: Tensor, where: Overlaps, importance: Tensor) -> Tensor:
    """Each frame rebuilt from the rows it went to: [B, F, t] -> [B, F, T]."""
    back = matrix(where).float() / importance[:, None].float()
    return merged @ back


# --- cost


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


def test_forward_and_backward_never_hold_more_than_the_frames() -> None:
    # Neither the matrix, t T, nor its product with the frames, F t T, may ever exist.
    importance = importance_of(2000, 1000).requires_grad_()
    frames = frames_of(2000, bins=16).requires_grad_()
    with LargestTensor() as record:
        where = overlaps(importance, 1000)
        encoding = resolution_encoding(where, 16)
        (merge_mean(frames, where).sum() + merge_max(frames, where).sum() + encoding.sum()).backward()
    assert record.elements == frames.numel()
