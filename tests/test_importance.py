"""Importance network and rescale: against loops, and what must hold for any scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import novelty_loop, res_conv_loop, rescale_loop
from torch import Tensor

from diffres_cli.nn.diffres import DiffRes
from diffres_cli.nn.importance import (
    ImportanceNetwork,
    NoveltyImportanceNetwork,
    ResConv1d,
    novelty,
    rescale,
    shares,
)

UNEVEN = torch.tensor([[0.9, 0.01, 0.02, 0.3, 0.01, 0.01, 0.2]], dtype=torch.float64)


def scores_of_any_kind(length: int) -> st.SearchStrategy[list[float]]:
    """Sigmoids as they come, and as they must not break anything: saturated, dead, hair-thin."""
    one = st.one_of(st.floats(0.0, 1.0, width=32), st.sampled_from([0.0, 1e-38, 1e-8, 0.5, 1.0]))
    flat = one.map(lambda value: [value] * length)
    one_hot = st.integers(0, length - 1).map(lambda hot: [float(j == hot) for j in range(length)])
    return st.one_of(st.lists(one, min_size=length, max_size=length), flat, one_hot)


@st.composite
def clips(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Scores [1, T] as the network gives them, float32, and t."""
    length = draw(st.integers(1, 60))
    scores = draw(scores_of_any_kind(length))
    return torch.tensor([scores], dtype=torch.float32), draw(st.integers(1, length))


@given(clips())
@settings(max_examples=300)
def test_importance_fills_the_output_frames_and_no_frame_more_than_one(clip: tuple[Tensor, int]) -> None:
    scores, output_frames = clip
    importance = rescale(scores, output_frames)
    assert (importance >= 0).all()
    assert (importance <= 1).all()
    assert importance.sum().item() == pytest.approx(output_frames, abs=1e-9)


@given(clips())
@settings(max_examples=100)
def test_a_higher_score_never_means_less_importance(clip: tuple[Tensor, int]) -> None:
    scores, output_frames = clip
    by_score = rescale(scores, output_frames)[0, scores[0].argsort(stable=True)]
    assert (by_score.diff() >= -1e-12).all()


@given(clips())
@settings(max_examples=100)
def test_at_full_rate_every_frame_matters_fully(clip: tuple[Tensor, int]) -> None:
    scores, _ = clip
    torch.testing.assert_close(
        rescale(scores, scores.shape[1]), torch.ones(scores.shape).double(), atol=1e-12, rtol=0
    )


@given(clips())
@settings(max_examples=100)
def test_no_scores_give_a_gradient_that_is_not_a_number(clip: tuple[Tensor, int]) -> None:
    scores, output_frames = clip
    scores = scores.requires_grad_()
    (rescale(scores, output_frames) * torch.arange(scores.shape[1])).sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("output_frames", [1, 2, 5, 13, 40])
@pytest.mark.parametrize("power", [1, 8])  # gentle scores need no refill, peaked ones do
def test_rescale_equals_its_loop(output_frames: int, power: int) -> None:
    scores = np.random.default_rng(output_frames).uniform(0.01, 1, 40) ** power
    expected = rescale_loop(scores, output_frames)
    np.testing.assert_allclose(
        rescale(torch.from_numpy(scores)[None], output_frames)[0], expected, atol=1e-12
    )


def test_scale_of_the_scores_is_irrelevant() -> None:
    # So the sigmoid can drift into saturation unseen (design notes, section 6).
    torch.testing.assert_close(rescale(UNEVEN, 3), rescale(UNEVEN * 0.1, 3))


@pytest.mark.parametrize("output_frames", [2, 4, 6])
@pytest.mark.parametrize("real_frames", [None, 5])
def test_gradient_of_rescale(output_frames: int, real_frames: int | None) -> None:
    scores = UNEVEN.clone().requires_grad_()
    mask = None if real_frames is None else (torch.arange(7) < real_frames)[None]
    assert torch.autograd.gradcheck(lambda s: rescale(s, output_frames, mask), (scores,))


# --- clips shorter than their batch


def batch_of_two(real_frames: int = 25, length: int = 40) -> tuple[Tensor, Tensor]:
    scores = (
        torch.rand(2, length, generator=torch.Generator().manual_seed(0)) ** 6
    )  # peaked: needs the refill
    return scores, torch.arange(length) < torch.tensor([[length], [real_frames]])


def test_padding_gets_no_importance_at_all() -> None:
    scores, mask = batch_of_two()
    assert (rescale(scores, 16, mask)[1, 25:] == 0.0).all()


def test_padding_takes_no_part() -> None:
    scores, mask = batch_of_two()
    loud = scores.clone()
    loud[1, 25:] = 1.0
    assert torch.equal(rescale(scores, 16, mask), rescale(loud, 16, mask))


@pytest.mark.parametrize(("output_frames", "share"), [(16, 10), (40, 25), (8, 5), (2, 1)])
def test_a_padded_clip_is_seen_at_its_batch_s_rate(output_frames: int, share: int) -> None:
    scores, mask = batch_of_two()
    importance = rescale(scores, output_frames, mask)
    torch.testing.assert_close(importance[1:, :25], rescale(scores[1:, :25], share))
    torch.testing.assert_close(importance[:1], rescale(scores[:1], output_frames))


@given(st.integers(1, 50), st.data())
@settings(max_examples=100)
def test_share_is_the_nearest_row_between_one_and_what_the_clip_has(length: int, data: st.DataObject) -> None:
    output_frames, held = data.draw(st.integers(1, length)), data.draw(st.integers(1, length))
    share = shares((torch.arange(length) < held).double()[None], output_frames).item()
    assert share == min(held, max(1, round(held * (output_frames / length))))
    assert share <= output_frames
    if held == length:
        assert share == output_frames


def test_a_clip_of_nothing_but_padding_stays_finite() -> None:
    importance = rescale(torch.full((1, 9), 0.5), 3, torch.zeros(1, 9, dtype=torch.bool))
    assert torch.equal(importance, torch.zeros(1, 9, dtype=torch.float64))


# --- the network


def with_lived_in_statistics(block: torch.nn.Module) -> torch.nn.Module:
    """BatchNorm statistics and weights that are not 0 and 1, in float64 and evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    for tensor in (*block.parameters(), *block.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.1, 1.0, generator=generator).sub_(0.05)
    return block.double().eval()


def test_network_has_the_papers_parameter_count() -> None:
    assert sum(parameter.numel() for parameter in ImportanceNetwork().parameters()) == 82_371


@pytest.mark.parametrize("length", [1, 4, 11])
def test_block_equals_its_loop(length: int) -> None:
    block = with_lived_in_statistics(ResConv1d(6, 3))
    x = torch.randn(6, length, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    state = {name: tensor.numpy() for name, tensor in block.state_dict().items()}
    with torch.no_grad():
        np.testing.assert_allclose(block(x[None])[0], res_conv_loop(x.numpy(), state), atol=1e-12)


def test_a_frame_is_judged_in_its_context_of_41() -> None:
    network = with_lived_in_statistics(ImportanceNetwork())
    log_mel = torch.randn(1, 128, 101, dtype=torch.float64, requires_grad=True)
    network(log_mel)[0, 50].backward()
    assert log_mel.grad is not None
    heard = log_mel.grad[0].abs().sum(0).nonzero().flatten().tolist()
    assert heard == list(range(30, 71))


# --- novelty


@pytest.mark.parametrize("length", [2, 3, 5, 40])
def test_novelty_equals_its_loop(length: int) -> None:
    log_mel = np.random.default_rng(length).normal(size=(6, length))
    np.testing.assert_allclose(novelty(torch.from_numpy(log_mel)[None])[0], novelty_loop(log_mel), atol=1e-12)


def test_novelty_is_added_with_a_learned_weight_of_1() -> None:
    network = with_lived_in_statistics(NoveltyImportanceNetwork(8))
    log_mel = torch.randn(2, 8, 30, dtype=torch.float64)
    with torch.no_grad():
        network.novelty_weight.zero_()
        plain = network(log_mel)
        network.novelty_weight.fill_(0.7)
        torch.testing.assert_close(network(log_mel), plain + 0.7 * novelty(log_mel))
    network(log_mel).square().sum().backward()
    assert network.novelty_weight.grad is not None
    assert network.novelty_weight.grad != 0
    assert NoveltyImportanceNetwork().novelty_weight == 1


def test_events_over_a_steady_background_get_more_importance_with_novelty() -> None:
    """The paper's network, untrained, is close to flat there."""
    torch.manual_seed(0)
    power = 0.01 + 0.002 * torch.rand(1, 128, 100)
    power[:, 40:80, 50:60] += 0.1
    plain, novel = (
        DiffRes(importance=name).eval()(power, 25).importance[0].detach()
        for name in ("resconv1d", "resconv1d-novelty")
    )
    assert plain[50:60].mean() < 1.1 * plain[:40].mean()
    assert novel[50:60].mean() > 1.4 * novel[:40].mean()


def test_silence_has_no_novelty_and_a_gradient_that_is_a_number() -> None:
    silence = torch.zeros(1, 8, 20, requires_grad=True)
    novelty(silence).sum().backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()
