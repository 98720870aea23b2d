"""What a step computes: against loops, one piece at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.checkpoint.variant import Variant
from diffres_cli.errors import TrainingError
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.objectives import empty_frames, frame_rms, guide_loss
from diffres_cli.recipes.recipe import Loss, Recipe
from diffres_cli.training.batches import BatchPlan
from diffres_cli.training.clips import TrainBatch
from diffres_cli.training.loss import cross_entropy, training_loss
from diffres_cli.training.module import TrainingModule, _mixed_lengths, _update_average
from diffres_cli.training.start import batch_norms

CLASSES = ("a", "b", "c")
CARD = ModelCard("tiny", "mobilenet_v3_large", CLASSES, CLASSES, PAPER, "MIT", "nothing", width=0.1)


def train_batch(
    lengths: tuple[int, ...] = (8000, 8000), shares: tuple[float, ...] = (1.0, 1.0)
) -> TrainBatch:
    count = len(lengths)
    return TrainBatch(
        torch.randn(count, 8000) * 0.1, torch.tensor(lengths), torch.eye(3)[:count],
        torch.zeros(count, dtype=torch.int64), torch.tensor(shares), torch.zeros(count, 4), (50.0,), 7,
    )  # fmt: skip


def module(**changes: object) -> TrainingModule:
    recipe = Recipe().changed({name.replace("__", "."): value for name, value in changes.items()}, "test")
    torch.manual_seed(0)
    return TrainingModule(DiffResNetwork(CARD), recipe, BatchPlan(8, 2, 0))


def test_cross_entropy_is_the_textbooks() -> None:
    probabilities = torch.tensor([[0.9, 0.2], [0.0, 1.0]])
    targets = torch.tensor([[1.0, 0.0], [0.3, 1.0]])
    terms = [-math.log(0.9), -math.log(0.8), -0.3 * math.log(1e-7), 0.0]
    assert cross_entropy(probabilities, targets).item() == pytest.approx(sum(terms) / 4, rel=1e-4)


def test_cross_entropy_survives_half_precision() -> None:
    probabilities = torch.tensor([[1.0, 0.0]], dtype=torch.bfloat16)
    assert math.isfinite(cross_entropy(probabilities, torch.tensor([[0.0, 1.0]])).item())


def test_the_objective_is_the_sum_of_its_weighted_terms() -> None:
    network = DiffResNetwork(CARD).eval()
    waveform = torch.randn(2, 8000) * 0.1
    waveform[:, :3000] = 0.0  # something for the guide loss
    with torch.no_grad():
        output = network(waveform, 49)  # 25 of 51 frames
    targets = torch.eye(3)[:2]
    empty = empty_frames(frame_rms(waveform, PAPER))
    terms = training_loss(output, empty, targets, Loss(guide=0.7, tolerance=0.5, saturation=0.3))
    parts = [
        cross_entropy(output.probabilities, targets),
        0.7 * guide_loss(output.importance, empty, 25, 0.5),
        0.3 * output.importance_logits.mean() ** 2,
    ]
    assert parts[1] > 0
    assert terms.total.item() == pytest.approx(sum(part.item() for part in parts), rel=1e-6)


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_average_follows_as_a_loop_says(decay: float) -> None:
    average, expected = torch.zeros(1), 0.0
    for count, value in enumerate([3.0, -1.0, 4.0, 4.0, 2.0] * 8):
        _update_average(decay, [average], [torch.tensor([value])], count)
        kept = min(decay, (1 + count) / (10 + count))
        expected = kept * expected + (1 - kept) * value
    assert average.item() == pytest.approx(expected, rel=1e-5)


def test_counters_are_copied_not_averaged() -> None:
    average = torch.tensor([1])
    _update_average(0.99, [average], [torch.tensor([50])], 100)
    assert average.item() == 50


def test_padding_after_mixing_is_what_neither_clip_fills() -> None:
    assert _mixed_lengths(train_batch()) is None
    lengths = _mixed_lengths(train_batch((4000, 8000, 2000, 1000), (0.7, 1.0, 1.0, 0.6)))
    assert lengths is not None
    assert lengths.tolist() == [8000, 8000, 2000, 2000]


def test_a_shift_moves_the_end_of_a_clip() -> None:
    batch = train_batch((4000, 8000))._replace(shifts=torch.tensor([500, -500]))
    lengths = _mixed_lengths(batch)
    assert lengths is not None
    assert lengths.tolist() == [4500, 8000]


def test_frozen_statistics_stay_and_weights_move() -> None:
    tiny = module(model__freeze_batch_norm=1)
    tiny.train()
    tiny.on_train_epoch_start()
    norms = batch_norms(tiny.network)
    before = [norm.running_mean.clone() for norm in norms]
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    tiny.training_step(train_batch(), 0).backward()
    assert all(torch.equal(norm.running_mean, kept) for norm, kept in zip(norms, before, strict=True))
    assert norms[0].weight.grad is not None
    assert tiny.network.training  # dropout is not frozen


def test_statistics_move_before_they_are_frozen() -> None:
    tiny = module(model__freeze_batch_norm=2)
    tiny.train()
    tiny.on_train_epoch_start()
    before = [norm.running_mean.clone() for norm in batch_norms(tiny.network)]
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    tiny.training_step(train_batch(), 0)
    after = [norm.running_mean for norm in batch_norms(tiny.network)]
    assert not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_same_batch_is_dropped_out_the_same_way() -> None:
    tiny = module()
    tiny.train()
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    batch = train_batch()
    losses = [tiny.training_step(batch, 0).item() for _ in range(2)]
    other = tiny.training_step(batch._replace(seed=8), 0).item()
    assert any(isinstance(part, nn.Dropout) and part.p > 0 for part in tiny.network.modules())
    assert losses[0] == losses[1] != other


def test_padding_counts_neither_for_guide_nor_for_saturation() -> None:
    network = DiffResNetwork(CARD).eval()
    waveform = torch.zeros(1, 24_000)
    waveform[:, 4000:8000] = torch.randn(4000) * 0.1  # half of what is heard is silent, and padding is
    with torch.no_grad():
        padded = network(waveform, 93, torch.tensor([8000]))
        empty = empty_frames(frame_rms(waveform, PAPER))
        terms = training_loss(padded, empty, torch.eye(3)[:1], Loss())
    assert padded.mask is not None
    real_frames = int(padded.mask.sum())
    assert real_frames == PAPER.frames(8000)
    mean_importance = 140 / padded.mel.shape[2]
    silent = empty[0, :real_frames]
    assert 10 < silent.sum() < real_frames - 10
    excess = (padded.importance[0, :real_frames] / mean_importance - 0.5).clamp_min(0)[silent]
    assert terms.guide.item() == pytest.approx(excess.mean().item(), rel=1e-5)
    assert terms.saturation.item() == pytest.approx(padded.importance_logits[padded.mask].mean().item() ** 2)
    assert terms.guide > 0


def logged(tiny: TrainingModule, batch: TrainBatch) -> dict[str, float]:
    """What a training step logs."""
    found: dict[str, Tensor] = {}
    tiny.log_dict = lambda values, **_: found.update(values)  # type: ignore[method-assign,assignment]
    tiny.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    tiny.eval()
    tiny.training_step(batch, 0)
    return {name: value.item() for name, value in found.items()}


@pytest.mark.parametrize("front_end", ["paper", "leaf"])
def test_silence_is_what_was_silent_before_specaugment(front_end: str) -> None:
    kind, config = FRONT_ENDS[front_end][:2]
    card = replace(CARD, mel=config, variant=Variant(kind))
    tiny = TrainingModule(DiffResNetwork(card), Recipe(), BatchPlan(8, 2, 0))
    noise = train_batch()
    masks = noise._replace(masks=torch.tensor([[0.0, 0.3, 0.2, 0.6]] * 2))
    assert logged(tiny, masks)["train/guide"] == 0
    silent = noise._replace(waveform=noise.waveform * (torch.arange(8000) > 3000))
    assert logged(tiny, silent)["train/guide"] > 0
    faint = noise._replace(waveform=noise.waveform * torch.where(torch.arange(8000) > 3000, 1.0, 1e-3))
    assert logged(tiny, faint)["train/guide"] > 0  # 60 dB under the rest


def test_the_papers_threshold_is_within_reach() -> None:
    tiny = module(loss__empty_db=0.0)
    faint = train_batch()
    faint = faint._replace(waveform=faint.waveform * torch.where(torch.arange(8000) > 3000, 1.0, 2e-3))
    assert logged(tiny, faint)["train/guide"] == 0
    assert logged(module(loss__empty_db=0.0, loss__empty_rms=1e-3), faint)["train/guide"] > 0


def test_synchronised_statistics_are_frozen_too() -> None:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(DiffResNetwork(CARD))
    count = sum(isinstance(part, nn.SyncBatchNorm) for part in network.modules())
    assert len(batch_norms(network)) == count > 0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_ruined_weights_are_not_worth_a_checkpoint(value: float) -> None:
    tiny = module()
    tiny.check_weights()
    with torch.no_grad():
        next(tiny.network.backbone.parameters()).view(-1)[0] = value
    with pytest.raises(TrainingError, match=r"the weights backbone\.features"):
        tiny.check_weights()


def test_an_average_that_has_lost_its_numbers_is_said_to() -> None:
    tiny = module(training__ema=0.9)
    with torch.no_grad():
        next(tiny.best.reduction.importance.parameters()).fill_(math.nan)
    with pytest.raises(TrainingError, match="the importance became nan"):
        tiny.best(torch.randn(1, 8000), 25)


def test_a_network_that_has_lost_its_numbers_is_said_to() -> None:
    tiny = module()
    with torch.no_grad():
        next(tiny.network.reduction.importance.parameters()).fill_(math.nan)
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    with pytest.raises(TrainingError, match=r"the importance became nan in epoch 1, update 1"):
        tiny.training_step(train_batch(), 0)


def test_a_rival_that_has_lost_its_numbers_is_said_to() -> None:
    """It has no importance to look at: the cross entropy would say that its input lies outside 0 to 1."""
    card = replace(CARD, variant=Variant(reduction="average-pool"))
    tiny = TrainingModule(DiffResNetwork(card), Recipe(), BatchPlan(8, 2, 0))
    with torch.no_grad():
        next(tiny.network.backbone.parameters()).fill_(math.nan)
    tiny.log = tiny.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    with pytest.raises(TrainingError, match=r"the scores became nan in epoch 1, update 1"):
        tiny.training_step(train_batch(), 0)


def test_the_kept_network_is_the_average_where_there_is_one() -> None:
    assert module().best is not None
    averaged = module(training__ema=0.9)
    assert averaged.best is not averaged.network
    assert replace(averaged.best.card) == CARD
    assert all(not parameter.requires_grad for parameter in averaged.best.parameters())
