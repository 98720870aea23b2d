"""Guide loss (Eq. 7) and activeness (Eq. 4): against loops, and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import activeness_loop, frame_rms_loop, guide_loss_loop
from torch import Tensor

from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.nn.frontends import build_front_end
from diffres_cli.nn.importance import rescale
from diffres_cli.nn.objectives import activeness, empty_frames, frame_rms, guide_loss

SILENT = [3, 4, 5, 17]


def silence(batch: int = 2, length: int = 20) -> Tensor:
    """Which frames are empty, [batch, length]."""
    return torch.zeros(batch, length, dtype=torch.bool).index_fill_(1, torch.tensor(SILENT), True)


def importance_of(output_frames: int, batch: int = 2, length: int = 20) -> Tensor:
    return rescale(torch.rand(batch, length, generator=torch.Generator().manual_seed(1)), output_frames)


@pytest.mark.parametrize("samples", [320, 1000, 4000, 4001])
def test_a_frames_rms_equals_its_loop(samples: int) -> None:
    waveform = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    frames = PAPER.frames(samples)
    expected = frame_rms_loop(waveform.double().numpy(), frames, PAPER.window, PAPER.hop)
    found = frame_rms(waveform, PAPER).double()
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_there_is_one_rms_for_each_frame_of_every_front_end(name: str) -> None:
    kind, config = FRONT_ENDS[name][:2]
    waveform = torch.randn(1, config.minimum_samples // 2 + 5000)
    assert frame_rms(waveform, config).shape == (1, build_front_end(kind, config)(waveform).shape[2])


def test_an_offset_is_silence() -> None:
    rms = frame_rms(torch.full((1, 8000), 0.05), PAPER)
    assert rms.max() < 1e-6


def test_a_frame_is_empty_below_a_ten_thousandth_of_rms() -> None:
    rms = torch.tensor([[0.0, 0.9e-4, 1.1e-4, 1.0]])
    assert empty_frames(rms, below=0).tolist() == [[True, True, False, False]]


def test_a_frame_is_empty_far_below_the_loudest_of_its_clip() -> None:
    rms = torch.tensor([[0.1, 0.99e-3, 1.01e-3, 1e-2], [1e-3, 0.99e-3, 1.01e-3, 1e-2]])
    assert empty_frames(rms, below=40).tolist() == [[False, True, False, False], [False] * 4]
    assert empty_frames(rms, below=45).sum() == 0


@pytest.mark.parametrize("output_frames", [1, 5, 15, 20])
def test_guide_loss_equals_its_loop(output_frames: int) -> None:
    empty, importance = silence(), importance_of(output_frames)
    expected = guide_loss_loop(importance.numpy(), empty.numpy(), output_frames)
    assert guide_loss(importance, empty, output_frames).item() == pytest.approx(expected, abs=1e-12)


def test_guide_loss_rewards_taking_importance_out_of_silence() -> None:
    empty = silence(batch=1)
    flat = torch.full((1, 20), 0.5)
    moved = flat.clone()
    moved[:, SILENT] -= 0.2
    moved[:, [0, 1, 10, 11]] += 0.2
    assert guide_loss(moved, empty, 10) < guide_loss(flat, empty, 10)


def test_following_its_gradient_empties_the_silence_and_nothing_else() -> None:
    empty = silence(batch=1)
    importance = torch.full((1, 20), 0.5, requires_grad=True)
    guide_loss(importance, empty, 10).backward()
    assert importance.grad is not None
    expected = torch.zeros(20)
    expected[SILENT] = 1 / len(SILENT) / 0.5  # the mean importance is t / T = 0.5
    torch.testing.assert_close(importance.grad[0], expected)


def test_half_the_mean_importance_is_tolerated_in_silence() -> None:
    empty = silence(batch=1)
    importance = torch.full((1, 20), 0.6)
    importance[:, SILENT] = 0.25
    assert guide_loss(importance, empty, 10) == 0
    importance[:, SILENT] = 0.26
    assert guide_loss(importance, empty, 10) > 0


def test_guide_loss_is_zero_without_silence_and_defined_at_full_rate() -> None:
    assert guide_loss(importance_of(5), silence() & False, 5) == 0
    assert guide_loss(importance_of(20), silence(), 20).item() == pytest.approx(0.5)


@pytest.mark.parametrize("output_frames", [1, 5, 15])
def test_activeness_equals_its_loop(output_frames: int) -> None:
    empty, importance = silence(), importance_of(output_frames)
    for clip, got in enumerate(activeness(importance, empty, output_frames)):
        expected = activeness_loop(importance[clip].numpy(), empty[clip].numpy(), output_frames)
        assert got.item() == pytest.approx(expected, abs=1e-12)


def test_activeness_is_zero_for_flat_importance_and_at_full_rate() -> None:
    assert activeness(torch.full((2, 20), 0.25), silence(), 5).tolist() == [0, 0]
    assert activeness(importance_of(20), silence(), 20).tolist() == [0, 0]


def test_activeness_looks_at_sound_only() -> None:
    # Dropping silence is no merit: what counts is how sound is treated.
    importance = torch.full((1, 20), 0.5)
    importance[:, SILENT] = 0.0
    assert activeness(importance, silence(batch=1), 8).tolist() == [0]


@pytest.mark.parametrize("sounding", [0, 1])
def test_activeness_needs_two_frames_of_sound(sounding: int) -> None:
    empty = torch.arange(20).unsqueeze(0) >= sounding
    assert activeness(importance_of(5, batch=1), empty, 5).tolist() == [0]


def test_activeness_of_two_frames_by_hand() -> None:
    importance = torch.tensor([[1.0, 0.5]])
    assert activeness(importance, torch.zeros(1, 2, dtype=torch.bool), 1).item() == pytest.approx(
        np.sqrt(0.125) / 0.5
    )
