"""Which recipes can be carried out."""

from __future__ import annotations

import math
from dataclasses import asdict

from diffres_cli.card import ARCHITECTURES
from diffres_cli.errors import UsageError
from diffres_cli.training.recipe import Recipe


def checked(recipe: Recipe) -> Recipe:
    """The recipe when it can be carried out.

    Raises:
        UsageError: all its faults at once.
    """
    faults = [message for holds, message in _rules(recipe) if not holds]
    if faults:
        raise UsageError("recipe: " + "; ".join(faults))
    return recipe


def _rules(recipe: Recipe) -> list[tuple[bool, str]]:
    data, model, rate, training = recipe.data, recipe.model, recipe.rate, recipe.training
    augment, optimizer = recipe.augment, recipe.optimizer
    return [
        (
            bool(data.dataset or data.soft_labels),
            "data.dataset is empty: give --dataset NAME (see `diffres data list`)",
        ),
        (0 < data.seconds <= 3600, f"data.seconds is {data.seconds:g}, must be above 0, at most 3600"),
        (0 <= data.maximum_missing <= 1, f"data.maximum_missing is {data.maximum_missing:g}, must be 0 to 1"),
        (
            0 <= model.freeze_batch_norm <= training.epochs,
            f"model.freeze_batch_norm is {model.freeze_batch_norm}, must be 0 to {training.epochs}, an epoch",
        ),
        (
            0 < model.batch_norm_momentum <= 1,
            f"model.batch_norm_momentum is {model.batch_norm_momentum:g}, must be above 0, at most 1",
        ),
        (
            model.architecture in ARCHITECTURES,
            f'model.architecture is "{model.architecture}", must be {", ".join(ARCHITECTURES)}',
        ),
        (
            model.front_end in ("paper", "audioset-small"),
            f'model.front_end is "{model.front_end}", must be "paper" or "audioset-small"',
        ),
        (
            0 < rate.minimum <= rate.maximum <= 100,
            f"rate is {rate.minimum:g} to {rate.maximum:g}, must lie above 0, at most 100",
        ),
        (
            rate.minimum <= rate.default <= rate.maximum,
            f"rate.default is {rate.default:g}, must be {rate.minimum:g} to {rate.maximum:g}",
        ),
        (
            bool(rate.validation) and all(rate.minimum <= fps <= rate.maximum for fps in rate.validation),
            f"rate.validation is {list(rate.validation)}, must be {rate.minimum:g} to {rate.maximum:g}",
        ),
        (0 < optimizer.lr < math.inf, f"optimizer.lr is {optimizer.lr:g}, must be above 0"),
        (len(optimizer.betas) == 2, f"optimizer.betas is {list(optimizer.betas)}, must be two numbers"),
        (
            optimizer.schedule in ("step", "cosine"),
            f'optimizer.schedule is "{optimizer.schedule}", must be "step" or "cosine"',
        ),
        (optimizer.every >= 1, f"optimizer.every is {optimizer.every}, must be at least 1"),
        (training.epochs >= 1, f"training.epochs is {training.epochs}, must be at least 1"),
        (training.batch_size >= 1, f"training.batch_size is {training.batch_size}, must be at least 1"),
        (
            training.accumulate >= 1 and training.batch_size % max(1, training.accumulate) == 0,
            f"training.accumulate is {training.accumulate}, must divide batch_size ({training.batch_size})",
        ),
        (
            training.precision in ("auto", "32-true", "bf16-mixed"),
            f'training.precision is "{training.precision}", must be "auto", "32-true" or "bf16-mixed"',
        ),
        (0 <= training.ema < 1, f"training.ema is {training.ema:g}, must be 0 or more, below 1"),
        (training.keep in ("best", "last"), f'training.keep is "{training.keep}", must be "best" or "last"'),
        (
            training.validate_every >= 1 and training.epochs % max(1, training.validate_every) == 0,
            f"training.validate_every is {training.validate_every}, must divide epochs ({training.epochs})",
        ),
        (
            training.checkpoint_every >= 1,
            f"training.checkpoint_every is {training.checkpoint_every}, must be at least 1",
        ),
        *(
            (0 <= share <= 1, f"augment.{name} is {share:g}, must be 0 to 1")
            for name, share in asdict(augment).items()
            if name != "mixup_alpha"
        ),
        (augment.mixup_alpha > 0, f"augment.mixup_alpha is {augment.mixup_alpha:g}, must be above 0"),
    ]
