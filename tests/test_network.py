"""The chain in torch: the released fixture, the run-time rate, padded batches, gradients."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import references as slow
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.variant import PAPER_VARIANT
from diffres_cli.nn.importance import rescale
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network

FIXTURE = np.load(Path(__file__).parent / "fixtures" / "parity.npz")
CASES = [tuple(key.split("_")[1:]) for key in FIXTURE if key.startswith("prob_")]


@pytest.fixture(scope="module")
def network() -> DiffResNetwork:
    """The shipped weights."""
    return load_network(find_model("audioset-small", weights=True))


@pytest.fixture
def untrained(network: DiffResNetwork) -> DiffResNetwork:
    """A small network of the paper's front end, to train."""
    torch.manual_seed(0)
    return DiffResNetwork(
        replace(network.card, mel=PAPER, classes=("a", "b", "c"), class_ids=("1", "2", "3"))
    )


def noise(batch: int, samples: int) -> Tensor:
    """Noise whose level comes and goes, so that frames differ in importance."""
    generator = torch.Generator().manual_seed(samples)
    level = (torch.arange(samples) / 4000).sin().square()
    return 0.3 * torch.randn(batch, samples, generator=generator) * level


def test_the_fixture_holds_what_it_should() -> None:
    assert len(CASES) == 4 * 5
    assert {fps for _, fps in CASES} == {"20", "25", "50", "75", "100"}


@pytest.mark.parametrize(("clip", "fps"), CASES)
def test_the_released_weights_give_the_released_numbers(network: DiffResNetwork, clip: str, fps: str) -> None:
    waveform = torch.from_numpy(FIXTURE[f"wave_{clip}"])[None]
    with torch.no_grad():
        output = network(waveform, float(fps))
    # 1e-4 is the tolerance; float32 sums in another order account for about 1e-5.
    np.testing.assert_allclose(output.probabilities[0], FIXTURE[f"prob_{clip}_{fps}"], atol=1e-4)
    np.testing.assert_allclose(output.importance[0], FIXTURE[f"importance_{clip}_{fps}"], atol=1e-4)


def test_the_fixture_lists_the_labels_the_card_does(network: DiffResNetwork) -> None:
    assert network.card.classes == tuple(FIXTURE["labels"])
    assert network.card.class_ids == tuple(FIXTURE["mids"])


def backbone_at(network: DiffResNetwork, fps: float) -> nn.Module:
    """A plain backbone with the weights W0 + r dW."""
    assert network.conditioning is not None
    backbone = copy.deepcopy(network.backbone)
    for name, delta in network.conditioning.delta.named_parameters():
        backbone.get_parameter(name).data += math.log(100 / fps, 4) * delta
    return backbone


def test_the_chain_is_its_stages_as_the_paper_has_them(network: DiffResNetwork) -> None:
    """Mel and networks from torch; everything DiffRes does between them from the slow references."""
    waveform, fps, output_frames = noise(1, 30_000), 24.5, 23
    with torch.no_grad():
        mel = network.front_end(waveform)
        scores = network.reduction.logits(mel).sigmoid()[0].double().numpy()
        importance = slow.rescale_loop(scores, output_frames)
        warp = slow.warp_by_algorithm_1(importance, output_frames)
        x = mel[0].double().numpy()
        features = [slow.mean_loop(x, warp), slow.max_loop(x, warp), slow.encoding_loop(128, warp)]
        features[:2] = [(np.log(channel + 1e-5) + 4.5) / 5 for channel in features[:2]]
        expected = backbone_at(network, fps)(torch.from_numpy(np.stack(features)).float()[None])
        got = network(waveform, fps)
    np.testing.assert_allclose(got.importance[0], importance, atol=1e-6)
    np.testing.assert_allclose(got.merged[0], slow.mean_loop(x, warp), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(got.probabilities, expected.probabilities, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.framewise, expected.framewise, atol=1e-5, rtol=0)


def test_at_full_rate_diffres_is_the_classifier_alone(network: DiffResNetwork) -> None:
    waveform = noise(2, 40_000)
    with torch.no_grad():
        mel = network.front_end(waveform)
        frames = mel.shape[2]
        log_mel = network.front_end.log(mel)
        time = torch.from_numpy(slow.encoding_loop(128, np.eye(frames))).float().expand(2, -1, -1)
        alone = network.backbone(torch.stack([log_mel, log_mel, time], 1))
        output = network(waveform, 100)
    torch.testing.assert_close(output.merged, mel, atol=0, rtol=0)
    torch.testing.assert_close(output.probabilities, alone.probabilities, atol=1e-5, rtol=0)


def test_the_rate_is_chosen_at_each_call(network: DiffResNetwork) -> None:
    waveform = noise(1, 64_000)
    with torch.no_grad():
        for fps, output_frames in ((100, 200), (8, 16), (25.6, 51)):
            output = network(waveform, fps)
            assert output.merged.shape == (1, 128, output_frames)
            assert output.importance.sum().item() == pytest.approx(output_frames, abs=1e-4)


def test_a_batch_changes_nothing(network: DiffResNetwork) -> None:
    waveform = noise(3, 40_000)
    with torch.no_grad():
        together = network(waveform, 50)
        for clip in range(3):
            alone = network(waveform[clip : clip + 1], 50)
            torch.testing.assert_close(
                together.probabilities[clip], alone.probabilities[0], atol=1e-5, rtol=0
            )
            torch.testing.assert_close(together.importance[clip], alone.importance[0], atol=1e-5, rtol=0)


# --- batches of unequal lengths


def padded_batch(network: DiffResNetwork) -> tuple[Tensor, Tensor]:
    waveform, lengths = noise(2, 48_000), torch.tensor([48_000, 30_000])
    waveform[1, 30_000:] = 0.0
    return waveform, lengths


def test_padding_gets_no_importance_and_no_row(network: DiffResNetwork) -> None:
    waveform, lengths = padded_batch(network)
    with torch.no_grad():
        output = network(waveform, 50, lengths)
    frames = network.card.mel.frames(30_000)
    share = round(frames * 75 / output.importance.shape[1])
    assert (output.importance[1, frames:] == 0).all()
    assert output.importance[1].sum().item() == pytest.approx(share, abs=1e-4)
    assert (output.merged[1, :, share:].abs() < 1e-6).all()
    assert (output.merged[1, :, :share].sum(0) > 0).all()


def test_a_padded_clip_merges_as_it_would_alone(network: DiffResNetwork) -> None:
    """But for its last frames, which hear the padding: 20 by the importance network's context.

    Of the paper's network: novelty is measured against the whole clip, padding and all.
    """
    torch.manual_seed(0)
    network = DiffResNetwork(replace(network.card, variant=PAPER_VARIANT)).eval()
    waveform, lengths = padded_batch(network)
    with torch.no_grad():
        output = network(waveform, 50, lengths)
        frames = network.card.mel.frames(30_000)
        mask = torch.arange(output.importance.shape[1]) < frames
        expected = rescale(output.importance_logits[1:].sigmoid(), 75, mask[None])
    torch.testing.assert_close(output.importance[1:].double(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        output.importance_logits[1, : frames - 21],
        network(waveform[1:, :30_000], 8).importance_logits[0, : frames - 21],
        atol=1e-4,
        rtol=1e-4,
    )


def test_full_lengths_are_no_lengths(network: DiffResNetwork) -> None:
    waveform = noise(2, 32_000)
    with torch.no_grad():
        told = network(waveform, 50, torch.tensor([32_000, 32_000]))
        assert torch.equal(told.probabilities, network(waveform, 50).probabilities)


# --- training


def test_every_parameter_learns(untrained: DiffResNetwork) -> None:
    output = untrained.train()(noise(3, 12_000), 40, torch.tensor([12_000, 9_000, 8_000]))
    output.probabilities.sum().backward()
    without = [name for name, p in untrained.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in untrained.parameters())
    assert sum(p.grad.abs().sum() for p in untrained.reduction.importance.parameters()) > 0


def test_importance_learns_through_the_classifier() -> None:
    """Self-distillation in miniature: at a quarter of the frames, closer to the full-rate scores."""
    shipped = load_network(find_model("audioset-small", weights=True))
    torch.manual_seed(0)
    network = DiffResNetwork(replace(shipped.card, variant=PAPER_VARIANT)).eval()
    network.backbone.load_state_dict(shipped.backbone.state_dict())  # as it is at full rate
    waveform = torch.from_numpy(FIXTURE["wave_odd"])[None]
    target = torch.from_numpy(FIXTURE["prob_odd_100"])[None]
    optimiser = torch.optim.Adam(network.reduction.importance.parameters(), 1e-3)
    excess = []
    for _ in range(12):
        probabilities = network(waveform, 25).probabilities
        loss = binary_cross_entropy(probabilities, target) - binary_cross_entropy(target, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        excess.append(loss.item())
    assert np.mean(excess[-4:]) < 0.9 * excess[0]


def test_checkpoints_hold_no_mel_constants(network: DiffResNetwork) -> None:
    assert not any(name.startswith("front_end.") for name in network.state_dict())
