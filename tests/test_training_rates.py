"""Training at several rates a step: which, what each learns from, and the statistics of each anchor."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training_module import CARD, train_batch
from torch import Tensor, nn

from diffres_cli.checkpoint.variant import Variant
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.objectives import empty_frames, frame_rms
from diffres_cli.recipes.recipe import Rate, Recipe
from diffres_cli.training.batches import BatchPlan
from diffres_cli.training.clips import TrainBatch, batch_rates, random_rate
from diffres_cli.training.loss import training_loss
from diffres_cli.training.module import TrainingModule
from diffres_cli.training.start import batch_norms
from diffres_cli.training.statistics import estimate_statistics

ANCHORS = (100.0, 50.0, 25.0)
CONDITIONED = replace(CARD, variant=Variant(conditioning="all", anchors=ANCHORS))


def rates_of(per_batch: int, seed: int = 0, low: float = 25.0) -> tuple[float, ...]:
    return batch_rates(np.random.default_rng(seed), Rate(minimum=low, per_batch=per_batch))


def test_a_sandwich_has_both_ends_and_random_rates_between() -> None:
    assert rates_of(1) == (random_rate(np.random.default_rng(0), 25.0, 100.0),)
    assert rates_of(2) == (100.0, 25.0)
    assert rates_of(3) == (100.0, *rates_of(1), 25.0)
    for seed in range(50):
        rates = rates_of(5, seed)
        assert (len(rates), rates[0], rates[-1]) == (5, 100.0, 25.0)
        assert list(rates) == sorted(rates, reverse=True)
    assert rates_of(4, low=100.0) == (100.0,)


def module(distillation: float) -> TrainingModule:
    torch.manual_seed(0)
    recipe = Recipe().changed({"loss.distillation": distillation}, "test")
    tiny = TrainingModule(DiffResNetwork(CONDITIONED).eval(), recipe, BatchPlan(8, 2, 0))
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    return tiny


@pytest.mark.parametrize("distillation", [0.0, 0.3, 1.0])
def test_a_step_is_the_mean_over_rates_and_the_lower_ones_learn_from_the_highest(distillation: float) -> None:
    tiny, batch = module(distillation), train_batch()._replace(rates=(100.0, 60.0, 25.0))
    assert tiny.network.conditioning is not None
    with torch.no_grad():
        for delta in tiny.network.conditioning.delta.parameters():
            delta.normal_(0, 0.01)
        # Sure of its scores: around 0.5 the loss has no gradient by its target.
        tiny.network.backbone.classifier[-1].bias.copy_(torch.tensor([2.0, -3.0, 1.0]))
    tiny.training_step(batch, 0).backward()
    got = {name: each.grad.clone() for name, each in tiny.network.named_parameters() if each.grad is not None}
    tiny.network.zero_grad()
    teacher = tiny.network(batch.waveform, 100.0).probabilities.detach()
    empty = empty_frames(frame_rms(batch.waveform, CARD.mel))
    for fps in batch.rates:  # one at a time: gradients add up
        output = tiny.network(batch.waveform, fps)
        mixed = (1 - distillation) * batch.targets + distillation * teacher
        targets = batch.targets if fps == 100.0 else mixed
        (training_loss(output, empty, targets, tiny.recipe.loss).total / 3).backward()
    for name, each in tiny.network.named_parameters():
        assert each.grad is not None
        assert (got[name] - each.grad).norm() <= 1e-3 * each.grad.norm() + 1e-6, name


def test_every_parameter_and_every_anchor_learns_from_a_batch() -> None:
    tiny, batch = module(0.5), train_batch()._replace(rates=(100.0, 60.0, 25.0))
    tiny.train()
    tiny.training_step(batch, 0).backward()
    assert [name for name, each in tiny.network.named_parameters() if each.grad is None] == []
    assert tiny.network.conditioning is not None
    assert (tiny.network.conditioning.batches > 0).all()
    assert tiny.network.conditioning.batches.sum().item() == pytest.approx(3.0)


def test_importance_is_scored_once_a_step() -> None:
    tiny, calls = module(0.5), []
    importance: nn.Module = tiny.network.reduction.importance  # type: ignore[assignment]
    importance.register_forward_hook(lambda *_: calls.append(1))
    tiny.training_step(train_batch()._replace(rates=(100.0, 60.0, 25.0)), 0)
    assert len(calls) == 1


# --- statistics


def waveforms() -> Iterator[TrainBatch]:
    for seed in range(3):
        noise = 0.1 * torch.randn(4, 8000, generator=torch.Generator().manual_seed(seed))
        yield train_batch((8000,) * 4, (1.0,) * 4)._replace(waveform=noise, targets=torch.eye(4, 3))


def test_statistics_are_means_over_batches_at_each_anchor() -> None:
    """A plain copy of the backbone, reset and fed with the same features by torch's own average."""
    network = DiffResNetwork(CONDITIONED).eval()
    assert network.conditioning is not None
    seen: dict[float, list[Tensor]] = {fps: [] for fps in ANCHORS}
    listening = copy.deepcopy(network)
    for norm in batch_norms(listening):
        norm.train()
    for fps in ANCHORS:
        for batch in waveforms():
            with torch.no_grad():
                seen[fps].append(listening(batch.waveform, fps).features)
    modes, momenta = [each.training for each in network.modules()], [n.momentum for n in batch_norms(network)]
    estimate_statistics(network, waveforms)
    assert [each.training for each in network.modules()] == modes
    assert [norm.momentum for norm in batch_norms(network)] == momenta
    own, others = (
        dict(network.backbone.named_buffers()),
        dict(network.conditioning.statistics.named_buffers()),
    )
    for row, fps in enumerate(ANCHORS):
        plain = copy.deepcopy(network.backbone)
        for norm in plain.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.reset_running_stats()
                norm.momentum = None  # a plain average
                norm.train()
        for features in seen[fps]:
            with torch.no_grad():
                plain(features)
        for name, expected in plain.named_buffers():
            if "running" in name:
                got = others[name][row - 1] if row else own[name]
                torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-3)
    assert network.conditioning.batches.tolist() == [3.0, 3.0, 3.0]


def test_estimating_again_changes_nothing() -> None:
    network = DiffResNetwork(CONDITIONED).eval()
    estimate_statistics(network, waveforms)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    estimate_statistics(network, waveforms)
    for name, value in network.state_dict().items():
        if "batches" not in name:
            torch.testing.assert_close(value, before[name], atol=1e-6, rtol=1e-5)
