"""The plan of batches, and what is done to them: against loops, and alike in one process and several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffres_cli.recipes.files import RECIPES, read_recipe
from diffres_cli.recipes.recipe import Augment
from diffres_cli.training.augment import (
    mask_edges,
    mask_spectrogram,
    mix,
    mixup_partners,
    mixup_weights,
    shift_waveform,
)
from diffres_cli.training.batches import BatchPlan, batch_generator
from diffres_cli.training.clips import SoftTargets, Targets, random_rate

plans = st.builds(
    BatchPlan,
    clips=st.integers(8, 200),
    batch_size=st.sampled_from([8, 16, 24]),
    seed=st.integers(0, 3),
    accumulate=st.sampled_from([1, 2, 4]),
    checkpoint_every=st.integers(1, 9),
)


@given(plans, st.integers(0, 3))
def test_legs_together_are_an_epoch_and_no_clip_comes_twice(plan: BatchPlan, epoch: int) -> None:
    batches = [b for part in range(plan.parts) for b in plan.part_batches(epoch * plan.parts + part)]
    assert [batch.number for batch in batches] == list(range(plan.updates * plan.accumulate))
    assert {batch.epoch for batch in batches} == {epoch}
    used = np.concatenate([batch.clips for batch in batches])
    whole = min(plan.batch_size, plan.clips)
    assert len(set(used.tolist())) == len(used) == plan.updates * (whole - whole % plan.accumulate)
    assert plan.clips - len(used) < plan.batch_size


@given(plans)
def test_parts_end_where_updates_end(plan: BatchPlan) -> None:
    lengths = [plan.part_length(part) for part in range(plan.parts)]
    assert all(length and length % plan.accumulate == 0 for length in lengths)
    assert max(lengths) - min(lengths) <= plan.accumulate
    assert plan.part_length(plan.parts) == lengths[0]  # the next epoch's first


@given(plans, st.integers(0, 20), st.integers(2, 5))
def test_processes_share_out_one_processs_batches(plan: BatchPlan, part: int, world_size: int) -> None:
    whole = list(plan.part_batches(part))
    shares = [
        list(replace(plan, rank=rank, world_size=world_size).part_batches(part)) for rank in range(world_size)
    ]
    for one, *parts in zip(whole, *shares, strict=True):
        together = np.concatenate([part.clips for part in parts])
        assert together.tolist() == one.clips.tolist()
        assert [one.clips[part.rows].tolist() for part in parts] == [part.clips.tolist() for part in parts]
        assert {part.total for part in parts} == {len(one.clips)}
        if len(one.clips) >= 2 * world_size:  # mixup's pairs stay together
            assert all(part.rows.start % 2 == 0 for part in parts)
            assert max(len(part.clips) for part in parts) - min(len(part.clips) for part in parts) <= 3


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_every_recipes_batch_is_shared_by_any_number_of_devices(path: Path, world_size: int) -> None:
    training = read_recipe(path).training
    plans = [
        BatchPlan(500, training.batch_size, 0, training.accumulate, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    shares = [next(plan.part_batches(0)) for plan in plans]
    assert sum(len(share.clips) for share in shares) == training.batch_size // training.accumulate
    assert all(len(share.clips) for share in shares)


@pytest.mark.parametrize("parts", [2, 4])
def test_an_update_in_parts_takes_the_clips_of_a_whole_one(parts: int) -> None:
    whole = [b.clips.tolist() for b in BatchPlan(50, 16, seed=3, checkpoint_every=2).part_batches(0)]
    cut = [
        b.clips.tolist()
        for b in BatchPlan(50, 16, seed=3, accumulate=parts, checkpoint_every=2 * parts).part_batches(0)
    ]
    together = [[clip for part in cut[i : i + parts] for clip in part] for i in range(0, len(cut), parts)]
    assert together == whole


def test_epochs_and_seeds_differ_and_repeat() -> None:
    plan = BatchPlan(50, 10, seed=1)
    orders = [plan.order(0), plan.order(1), replace(plan, seed=2).order(0)]
    assert not any((a == b).all() for a, b in [(orders[0], orders[1]), (orders[0], orders[2])])
    assert (plan.order(1) == orders[1]).all()


def test_fewer_clips_than_a_batch_are_one_batch() -> None:
    (batch,) = BatchPlan(5, 32, seed=0).part_batches(0)
    assert sorted(batch.clips.tolist()) == [0, 1, 2, 3, 4]


def test_rebalancing_draws_rare_classes_as_often() -> None:
    targets = Targets([(0,)] * 90 + [(1,)] * 9 + [(0, 1)] + [()], 2)
    plan = BatchPlan(len(targets), 20, seed=0, weights=targets.sampling_weights())
    drawn = np.concatenate([plan.order(epoch) for epoch in range(200)])
    shares = targets.rows(drawn).mean(0)
    assert shares[0] == pytest.approx(shares[1], rel=0.15)
    assert 100 in drawn  # the clip without a label


def test_targets_are_the_labels() -> None:
    labels = [(2,), (), (0, 1)]
    assert Targets(labels, 3).rows(np.array([2, 0, 1])).tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_soft_targets_are_squares() -> None:
    table = np.array([[0, 51], [255, 128]], np.uint8)
    assert SoftTargets(table).rows(np.array([1, 0])) == pytest.approx(
        np.array([[1, 0.25196], [0, 0.04]]), abs=1e-5
    )


@given(st.integers(1, 9))
def test_partners_are_pairs(count: int) -> None:
    partners = mixup_partners(count, torch.device("cpu"))
    assert partners[partners].tolist() == list(range(count))
    alone = [i for i in range(count) if partners[i] == i]
    assert alone == ([count - 1] if count % 2 else [])


def test_mixing_is_the_weighted_sum_of_neighbours() -> None:
    values, shares = torch.randn(5, 4, 3), torch.tensor([0.7, 1.0, 0.5, 0.9, 0.6])
    mixed = mix(values, shares)
    for i, j in enumerate([1, 0, 3, 2, 4]):
        assert torch.allclose(mixed[i], shares[i] * values[i] + (1 - shares[i]) * values[j])


def test_mixing_happens_as_often_as_asked() -> None:
    random = np.random.default_rng(0)
    shares = mixup_weights(random, 10_000, Augment(mixup=0.3))
    assert (shares < 1).mean() == pytest.approx(0.3, abs=0.02)
    assert shares.min() >= 0.5
    assert (mixup_weights(random, 100, Augment(mixup=0.0)) == 1).all()


@given(st.lists(st.integers(-12, 12), min_size=1, max_size=4))
def test_shifts_against_a_loop(shifts: list[int]) -> None:
    waveform = torch.arange(1.0, 1 + 10 * len(shifts)).reshape(len(shifts), 10)
    moved = shift_waveform(waveform, torch.tensor(shifts))
    for clip, shift, got in zip(waveform.tolist(), shifts, moved.tolist(), strict=True):
        assert got == [clip[i - shift] if 0 <= i - shift < 10 else 0.0 for i in range(10)]


def test_masks_are_bands_within_the_limits() -> None:
    augment = Augment(frequency_mask=0.375, time_mask=0.5)
    edges = mask_edges(np.random.default_rng(0), 4000, augment)
    widths = edges[:, [1, 3]] - edges[:, [0, 2]]
    assert (edges >= 0).all()
    assert (edges <= 1 + 1e-6).all()
    assert (widths >= 0).all()
    assert widths.max(0) == pytest.approx([0.375, 0.5], abs=0.01)
    assert widths.mean(0) == pytest.approx([0.1875, 0.25], abs=0.01)


def test_masked_bins_and_frames_are_silent_and_no_others() -> None:
    mel = torch.ones(2, 8, 10)
    edges = torch.tensor([[0.25, 0.5, 0.1, 0.3], [0.0, 0.0, 0.0, 1.0]])
    silent = mask_spectrogram(mel, edges) == 0
    expected = torch.zeros(2, 8, 10, dtype=torch.bool)
    expected[0, 2:4] = True
    expected[0, :, 1:3] = True
    expected[1] = True
    assert silent.equal(expected)


def test_every_octave_of_rates_is_as_likely() -> None:
    rates = [random_rate(np.random.default_rng(i), 25.0, 100.0) for i in range(4000)]
    assert 25 <= min(rates) < max(rates) <= 100
    assert np.mean(np.array(rates) < 50) == pytest.approx(0.5, abs=0.03)


def test_a_batch_has_random_numbers_of_its_own() -> None:
    first, second = (
        batch_generator(0, batch).random() for batch in list(BatchPlan(20, 10, 0).part_batches(0))
    )
    again = batch_generator(0, next(iter(BatchPlan(20, 10, 0).part_batches(0)))).random()
    assert first == again != second
