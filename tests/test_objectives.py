"""Guide loss (Eq. 7) and activeness (Eq. 4): against loops, and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import activeness_loop, guide_loss_loop
from torch import Tensor

from diffres_cli.model.importance import rescale
from diffres_cli.model.objectives import activeness, empty_frames, guide_loss

SILENT = [3, 4, 5, 17]


def clip_with_silence(batch: int = 2, length: int = 20) -> Tensor:
    mel = torch.rand(batch, 128, length, generator=torch.Generator().manual_seed(0))
    mel[:, :, SILENT] = 0.0
    return mel


def importance_of(slots: int, batch: int = 2, length: int = 20) -> Tensor:
    return rescale(torch.rand(batch, length, generator=torch.Generator().manual_seed(1)), slots)


def test_a_frame_is_empty_below_a_ten_thousandth_of_rms() -> None:
    rms = torch.tensor([0.0, 0.9e-4, 1.1e-4, 1.0])
    mel = rms.square().expand(1, 128, 4)
    assert empty_frames(mel).tolist() == [[True, True, False, False]]


def test_a_frames_energy_is_the_mean_over_its_bins() -> None:
    mel = torch.zeros(1, 128, 2)
    mel[0, 40, 0] = 127e-8
    mel[0, 40, 1] = 129e-8
    assert empty_frames(mel).tolist() == [[True, False]]


@pytest.mark.parametrize("slots", [1, 5, 15, 20])
def test_guide_loss_equals_its_loop(slots: int) -> None:
    mel, importance = clip_with_silence(), importance_of(slots)
    expected = guide_loss_loop(importance.numpy(), mel.double().numpy(), slots)
    assert guide_loss(importance, mel, slots).item() == pytest.approx(expected, abs=1e-12)


def test_guide_loss_rewards_taking_importance_out_of_silence() -> None:
    mel = clip_with_silence(batch=1)
    flat = torch.full((1, 20), 0.5)
    moved = flat.clone()
    moved[:, SILENT] -= 0.2
    moved[:, [0, 1, 10, 11]] += 0.2
    assert guide_loss(moved, mel, 10) < guide_loss(flat, mel, 10)


def test_following_its_gradient_empties_the_silence_and_nothing_else() -> None:
    mel = clip_with_silence(batch=1)
    importance = torch.full((1, 20), 0.5, requires_grad=True)
    guide_loss(importance, mel, 10).backward()
    assert importance.grad is not None
    expected = torch.zeros(20)
    expected[SILENT] = 1 / len(SILENT) / 0.5  # the mean importance is t / T = 0.5
    torch.testing.assert_close(importance.grad[0], expected)


def test_half_the_mean_importance_is_tolerated_in_silence() -> None:
    mel = clip_with_silence(batch=1)
    importance = torch.full((1, 20), 0.6)
    importance[:, SILENT] = 0.25
    assert guide_loss(importance, mel, 10) == 0
    importance[:, SILENT] = 0.26
    assert guide_loss(importance, mel, 10) > 0


def test_guide_loss_is_zero_without_silence_and_defined_at_full_rate() -> None:
    assert guide_loss(importance_of(5), clip_with_silence() + 1.0, 5) == 0
    assert guide_loss(importance_of(20), clip_with_silence(), 20).item() == pytest.approx(0.5)


@pytest.mark.parametrize("slots", [1, 5, 15])
def test_activeness_equals_its_loop(slots: int) -> None:
    mel, importance = clip_with_silence(), importance_of(slots)
    for clip, got in enumerate(activeness(importance, mel, slots)):
        expected = activeness_loop(importance[clip].numpy(), mel[clip].double().numpy(), slots)
        assert got.item() == pytest.approx(expected, abs=1e-12)


def test_activeness_is_zero_for_flat_importance_and_at_full_rate() -> None:
    assert activeness(torch.full((2, 20), 0.25), clip_with_silence(), 5).tolist() == [0, 0]
    assert activeness(importance_of(20), clip_with_silence(), 20).tolist() == [0, 0]


def test_activeness_looks_at_sound_only() -> None:
    # Dropping silence is no merit: what counts is how sound is treated.
    importance = torch.full((1, 20), 0.5)
    importance[:, SILENT] = 0.0
    assert activeness(importance, clip_with_silence(batch=1), 8).tolist() == [0]


@pytest.mark.parametrize("sounding", [0, 1])
def test_activeness_needs_two_frames_of_sound(sounding: int) -> None:
    mel = torch.zeros(1, 128, 20)
    mel[:, :, :sounding] = 1.0
    assert activeness(importance_of(5, batch=1), mel, 5).tolist() == [0]


def test_activeness_of_two_frames_by_hand() -> None:
    importance = torch.tensor([[1.0, 0.5]])
    assert activeness(importance, torch.ones(1, 128, 2), 1).item() == pytest.approx(np.sqrt(0.125) / 0.5)


def test_padding_does_not_thin_the_guide_loss_out() -> None:
    mel = clip_with_silence()
    importance = importance_of(10)
    padded = torch.nn.functional.pad(mel, (0, 40)), torch.nn.functional.pad(importance, (0, 40))
    real = torch.arange(padded[1].shape[1]).expand_as(padded[1]) < importance.shape[1]
    slots = 10 * padded[1].shape[1] // importance.shape[1]  # the same mean importance

    alone = guide_loss(importance, mel, 10)

    assert guide_loss(padded[1], padded[0], slots, mask=real).item() == pytest.approx(alone.item())
    assert guide_loss(padded[1], padded[0], slots) < alone
