"""Adapting a tagger to lower rates: what stays, what learns, and from what; and noise, level and length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from audio_files import noise, write
from cache_builds import clip_of
from test_training_module import CARD, train_batch
from torch import Tensor

from diffres_cli.checkpoint.variant import Variant
from diffres_cli.datasets.waveforms.cache import build_cache
from diffres_cli.errors import UsageError
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.recipes.recipe import Augment, Recipe
from diffres_cli.recipes.rules import checked
from diffres_cli.training.augment import add_noise, gains, noise_floors
from diffres_cli.training.batches import BatchIndices, BatchPlan
from diffres_cli.training.clips import ClipSource, Targets, TrainBatches
from diffres_cli.training.loss import relative_distance
from diffres_cli.training.module import TrainingModule
from diffres_cli.training.start import batch_norms

CONDITIONED = replace(CARD, variant=Variant(conditioning="all", anchors=(100.0,)))
ADAPT = {
    "model.trainable": "conditioning",
    "model.init": "some-model",
    "model.dropout": False,
    "loss.distillation": 1.0,
}
BATCH = train_batch()._replace(rates=(100.0, 60.0, 25.0))


def adapting(**changes: object) -> TrainingModule:
    torch.manual_seed(0)
    recipe = Recipe().changed(ADAPT | {n.replace("__", "."): value for n, value in changes.items()}, "test")
    network = DiffResNetwork(CONDITIONED)
    for norm in batch_norms(network):
        norm.momentum = 1.0
    network(BATCH.waveform, 100.0)  # statistics of its own: those it begins with leave all clips alike
    network.backbone.requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tiny = TrainingModule(network, recipe, BatchPlan(8, 2, 0))
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    tiny.train()
    tiny.on_train_epoch_start()
    return tiny


def scores(tiny: TrainingModule, fps: float) -> Tensor:
    with torch.no_grad():
        probabilities: Tensor = tiny.network.eval()(BATCH.waveform, fps).probabilities
    return probabilities


def test_full_rate_stays_and_the_lower_rates_learn() -> None:
    tiny = adapting()
    before = {fps: scores(tiny, fps) for fps in (100.0, 25.0)}
    optimizer = torch.optim.Adam([each for each in tiny.network.parameters() if each.requires_grad], 1e-2)
    tiny.train()
    tiny.on_train_epoch_start()
    for _ in range(3):
        optimizer.zero_grad()
        tiny.training_step(BATCH, 0).backward()
        optimizer.step()
    assert torch.equal(scores(tiny, 100.0), before[100.0])
    assert not torch.allclose(scores(tiny, 25.0), before[25.0], atol=1e-4)
    moved = [name for name, each in tiny.network.named_parameters() if each.grad is not None]
    assert moved
    assert all(name.startswith(("reduction.importance", "conditioning.delta")) for name in moved)


def test_the_loss_is_that_of_the_lower_rates_against_full_rate() -> None:
    """Labels of another class change nothing, and a network that gives full rate's scores has least loss."""
    tiny = adapting(loss__guide=0.0, loss__saturation=0.0)
    loss = tiny.training_step(BATCH, 0)
    relabelled = tiny.training_step(BATCH._replace(targets=BATCH.targets.roll(1, 1)), 0)
    assert loss.item() == relabelled.item()
    teacher = scores(tiny, 100.0).double()
    terms = []
    for fps in (60.0, 25.0):
        p = scores(tiny, fps).double()
        terms.append(-(teacher * p.log() + (1 - teacher) * (1 - p).log()).mean())
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_embeddings_learn_from_full_rate_too() -> None:
    tiny = adapting(loss__guide=0.0, loss__saturation=0.0)
    plain = tiny.training_step(BATCH, 0).item()
    tiny.recipe = tiny.recipe.changed({"loss.embedding": 2.0}, "test")
    with_embedding = tiny.training_step(BATCH, 0).item()
    tiny.network.eval()
    with torch.no_grad():
        full, *lower = [tiny.network(BATCH.waveform, fps).embedding for fps in BATCH.rates]
    distances = [((each - full) ** 2).sum(1) / (full**2).sum(1) for each in lower]
    assert with_embedding - plain == pytest.approx(2 * torch.stack(distances).mean().item(), rel=1e-4)


def test_distance_is_relative_and_no_gradient_reaches_the_target() -> None:
    values, targets = torch.randn(3, 5, requires_grad=True), torch.randn(3, 5, requires_grad=True)
    expected = sum(
        sum((v - t) ** 2 for v, t in zip(row, target, strict=True)) / sum(t**2 for t in target)
        for row, target in zip(values.tolist(), targets.tolist(), strict=True)
    )
    distance = relative_distance(values, targets)
    assert distance.item() == pytest.approx(expected / 3, rel=1e-5)
    distance.backward()
    assert values.grad is not None
    assert targets.grad is None


@pytest.mark.parametrize(
    "changes",
    [
        {"model.init": ""},
        {"model.conditioning": "nothing"},
        {"rate.per_batch": 1},
        {"rate.minimum": 100.0, "rate.default": 100.0},
    ],
)
def test_where_nothing_could_learn_adapting_is_refused(changes: dict[str, object]) -> None:
    recipe = Recipe().changed({"data.dataset": "esc50", "rate.validation": [100.0], **ADAPT, **changes}, "t")
    with pytest.raises(UsageError, match=r"model\.trainable is conditioning"):
        checked(recipe)


def test_a_network_to_adapt_is_enough() -> None:
    checked(Recipe().changed({"data.dataset": "esc50", **ADAPT}, "test"))


# --- noise, level and length


def test_noise_is_as_loud_as_asked_and_tilted() -> None:
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(4, 32_000)
    floors = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.1, 1.0], [0.5, 2.0]])
    noise = add_noise(waveform, floors) - waveform
    shares = noise.square().mean(1).sqrt() / waveform.square().mean(1).sqrt()
    torch.testing.assert_close(shares, floors[:, 0], atol=1e-3, rtol=1e-3)
    power = torch.fft.rfft(noise).abs().square()
    low, high = power[1:, 1000:1100].mean(1), power[1:, 4000:4400].mean(1)
    octaves = (low / high).log2() / 2
    torch.testing.assert_close(octaves, floors[1:, 1], atol=0.2, rtol=0.0)


def test_levels_and_noise_are_drawn_within_their_bounds() -> None:
    random = np.random.default_rng(0)
    floors = noise_floors(random, 1000, Augment(noise=0.3))
    noisy = floors[floors[:, 0] > 0, 0]
    assert 250 < len(noisy) < 350
    assert 10**-1.5 <= noisy.min() < 0.04
    assert 0.9 < noisy.max() <= 1
    assert 0 <= floors[:, 1].min() < floors[:, 1].max() <= 2
    levels = 20 * np.log10(gains(random, 1000, Augment(gain=12.0)))
    assert -12 <= levels.min() < -11
    assert 11 < levels.max() <= 12.001


def batches(augment: Augment, folder: Path) -> TrainBatches:
    clips = [clip_of(write(folder / f"{i}.wav", noise(5.0))) for i in range(8)]
    cache = build_cache(clips, 16_000, None, folder / "cache", 1)
    source = ClipSource(cache, np.arange(8), Targets([(0,)] * 8, 2))
    return TrainBatches(source, replace(Recipe().changed({"data.seconds": 5.0}, ""), augment=augment))


def test_a_batch_is_shortened_as_a_whole(tmp_path: Path) -> None:
    dataset = batches(Augment(shorten=0.6), tmp_path)
    lengths = []
    for number in range(40):
        batch = dataset[BatchIndices(0, number, np.arange(8), slice(0, 8), 8, 1)]
        assert batch.lengths.tolist() == [batch.waveform.shape[1]] * 8
        lengths.append(batch.waveform.shape[1])
    assert 0.4 * 80_000 <= min(lengths) < 0.5 * 80_000
    assert 0.9 * 80_000 < max(lengths) <= 80_000


def test_without_augmentation_a_batch_is_left_as_it_is(tmp_path: Path) -> None:
    batch = batches(Augment(mixup=0.0), tmp_path)[BatchIndices(0, 0, np.arange(8), slice(0, 8), 8, 1)]
    assert batch.waveform.shape == (8, 80_000)
    assert (batch.gains, batch.floors) == (None, None)
