"""Which recipes can be carried out."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

from diffres_cli.checkpoint.parts import (
    BACKBONES,
    FRONT_ENDS,
    IMPORTANCE_NETWORKS,
    REDUCTIONS,
    front_end_spec,
)
from diffres_cli.checkpoint.registry import EXAMPLE_PATH, is_import_path
from diffres_cli.checkpoint.variant import CONDITIONINGS
from diffres_cli.errors import UsageError
from diffres_cli.recipes.recipe import Recipe

Rule = tuple[Callable[[Any], bool], str]


def _within(least: float, most: float) -> Rule:
    return lambda value: least <= value <= most, f"{least:g} to {most:g}"


def _above(least: float, most: float = math.inf) -> Rule:
    words = f"above {least:g}" + (f", at most {most:g}" if most < math.inf else "")
    return lambda value: least < value <= most and value < math.inf, words


def _one_of(*words: str) -> Rule:
    return lambda value: value in words, ", ".join(words[:-1]) + f" or {words[-1]}"


def _part_of(names: Collection[str]) -> Rule:
    """A registered name, or anyone's import path."""
    words = f"{', '.join(names)}, or an import path such as {EXAMPLE_PATH}"
    return lambda value: value in names or is_import_path(value), words


_COUNT: Rule = (lambda value: value >= 1, "at least 1")
_SHARE = _within(0, 1)
_FIELDS: dict[str, Rule] = {
    "data.seconds": _within(0, 3600),
    "data.maximum_missing": _SHARE,
    "data.fold": _within(0, 1000),
    "model.architecture": _part_of(BACKBONES),
    "model.width": _above(0, 10),
    "model.front_end": _part_of(FRONT_ENDS),
    "model.hop": _within(0, 1000),
    "model.bins": _within(0, 4096),
    "model.reduction": _part_of(REDUCTIONS),
    "model.importance": _part_of(IMPORTANCE_NETWORKS),
    "model.conditioning": _one_of(*CONDITIONINGS),
    "model.dilation": _within(1, 1024),
    "model.transfer": _one_of("all", "backbone"),
    "model.trainable": _one_of("all", "conditioning"),
    "model.freeze_batch_norm": _within(0, 1_000_000),
    "model.batch_norm_momentum": _above(0, 1),
    "rate.minimum": _above(0, 10_000),
    "rate.maximum": _above(0, 10_000),
    "rate.per_batch": _within(1, 16),
    "rate.validation": (bool, "one rate or more"),
    "optimizer.lr": _above(0),
    "optimizer.weight_decay": _within(0, 10),
    "optimizer.betas": (lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value), "two shares"),
    "optimizer.warmup": _within(0, 1e9),
    "optimizer.first": _COUNT,
    "optimizer.schedule": _one_of("step", "cosine"),
    "optimizer.factor": _above(0, 1),
    "optimizer.every": _COUNT,
    "training.epochs": _COUNT,
    "training.batch_size": _COUNT,
    "training.accumulate": _COUNT,
    "training.precision": _one_of("auto", "32-true", "bf16-mixed"),
    "training.clip_norm": _within(0, 1e9),
    "training.ema": (lambda value: 0 <= value < 1, "0 or more, below 1"),
    "training.seed": _within(0, 2**32 - 1),
    "training.validate_every": _COUNT,
    "training.keep": _one_of("best", "last"),
    "training.checkpoint_every": _COUNT,
    "training.statistics_batches": _within(0, 1e9),
    "training.workers": _within(0, 256),
    "augment.mixup": _SHARE,
    "augment.mixup_alpha": _above(0),
    "augment.frequency_mask": _SHARE,
    "augment.time_mask": _SHARE,
    "augment.shift": _SHARE,
    "augment.gain": _within(0, 100),
    "augment.noise": _SHARE,
    "augment.shorten": _within(0, 0.95),
    "loss.guide": _within(0, 1e6),
    "loss.tolerance": _within(0, 1e6),
    "loss.empty_rms": _SHARE,
    "loss.empty_db": _within(0, 200),
    "loss.saturation": _within(0, 1e6),
    "loss.distillation": _SHARE,
    "loss.embedding": _within(0, 1e6),
}


def checked(recipe: Recipe) -> Recipe:
    """The recipe when it can be carried out.

    Raises:
        UsageError: all its faults at once.
    """
    values = recipe.flat()
    faults = [
        f"{name} is {values[name]}, must be {words}"
        for name, (holds, words) in _FIELDS.items()
        if not holds(values[name])
    ]
    # What depends on other fields can only be judged where those are sound.
    faults = faults or list(_contradictions(recipe))
    if not (recipe.data.dataset or recipe.data.soft_labels):
        faults.append("data.dataset is empty: give a dataset (see `diffres data list`)")
    if faults:
        raise UsageError("recipe: " + "; ".join(faults))
    return recipe


def _contradictions(recipe: Recipe) -> Iterator[str]:
    rate, training, mel = recipe.rate, recipe.training, recipe.model.mel
    yield from (f"model: {fault}" for fault in recipe.variant.faults())
    if mel.hop > mel.window:
        window = 1000 * mel.window / mel.sample_rate
        yield f"model.hop is {recipe.model.hop:g} ms, must be at most the window ({window:g} ms)"
    front_end = recipe.model.front_end
    yield from (f"model.front_end {front_end}: {fault}" for fault in front_end_spec(front_end).faults(mel))
    if 0 < recipe.model.hop * mel.sample_rate < 1000:
        yield f"model.hop is {recipe.model.hop:g} ms, less than a sample at {mel.sample_rate} Hz"
    if rate.maximum > mel.frame_rate:
        yield f"rate.maximum is {rate.maximum:g}, must be at most the front end's rate ({mel.frame_rate:g})"
    if max(recipe.model.anchors, default=0.0) > mel.frame_rate:
        anchors = ", ".join(f"{fps:g}" for fps in recipe.model.anchors)
        yield f"model.anchors is {anchors}, must be at most the front end's rate ({mel.frame_rate:g})"
    if rate.minimum > rate.maximum:
        yield f"rate.minimum is {rate.minimum:g}, must be at most rate.maximum ({rate.maximum:g})"
    for name, rates in (("default", [rate.default]), ("validation", rate.validation)):
        if any(not rate.minimum <= fps <= rate.maximum for fps in rates):
            given = ", ".join(f"{fps:g}" for fps in rates)
            yield f"rate.{name} is {given}, must be {rate.minimum:g} to {rate.maximum:g}"
    if recipe.model.init == "imagenet" and recipe.model.width != 1:
        yield f"model.width is {recipe.model.width:g}, must be 1 for ImageNet's weights"
    several = bool(recipe.variant.anchors) and rate.per_batch > 1
    if recipe.model.trainable == "conditioning" and not (several and recipe.model.init):
        yield (
            "model.trainable is conditioning, so model.init must name a network, model.conditioning not be "
            "nothing, and rate.per_batch be at least 2, from a rate.minimum below rate.maximum"
        )
    if training.batch_size % training.accumulate:
        yield f"training.accumulate is {training.accumulate}, must divide batch_size ({training.batch_size})"
    if training.validate_every < training.epochs and training.epochs % training.validate_every:
        yield f"training.validate_every is {training.validate_every}, must divide epochs ({training.epochs})"
