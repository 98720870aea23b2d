"""The network a run starts from: random, ImageNet's, or another model's weights."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, get_args

import torch
from torch import nn
from torchvision.ops import StochasticDepth

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.datasets import Dataset
from diffres_cli.errors import SettingError, UsageError
from diffres_cli.nn.conditioning import BatchNorm
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.recipes.splits import split_names
from diffres_cli.training.imagenet import ORIGINS, load_imagenet


def initial_network(recipe: Recipe, dataset: Dataset, name: str, *, resumed: bool = False) -> DiffResNetwork:
    """The network before the first step, a function of recipe and dataset alone.

    Args:
        resumed: its weights come from a checkpoint, so what it once started from is not needed.

    Raises:
        UsageError: `model.init` cannot serve this architecture. ModelError: it cannot be read.
    """
    torch.manual_seed(recipe.training.seed)
    network = DiffResNetwork(model_card(recipe, dataset, name))
    init = recipe.model.init
    if resumed:
        pass
    elif init in ORIGINS:
        features: nn.Module = network.backbone.features  # type: ignore[assignment]
        load_imagenet(features, recipe.model.architecture, init)
        _copy_statistics(network)
    elif init:
        source = load_network(find_model(init, weights=True))
        _copy_weights(network, source, init, recipe.model.transfer)
    network.backbone.requires_grad_(recipe.model.trainable == "all")
    for norm in batch_norms(network):
        norm.momentum = recipe.model.batch_norm_momentum
    for module in network.modules():
        if not recipe.model.dropout and isinstance(module, (nn.Dropout, StochasticDepth)):
            module.p = 0.0
    # Steps of EfficientNet-B0 take 0.6 of the time so on a CPU, and half precision on a GPU wants it too.
    for part in filter(None, (network.backbone, network.conditioning)):
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def batch_norms(network: DiffResNetwork) -> list[BatchNorm]:
    """The layers of a network that keep statistics of what they saw."""
    return [module for module in network.modules() if isinstance(module, get_args(BatchNorm))]


def inherited_fields(init: str, transfer: str) -> dict[str, Any]:
    """The recipe fields that a run takes over from its initial model; {} unless that is a diffres model.

    Raises:
        UsageError: a front end that recipes do not know. ModelError: it cannot be read.
    """
    if init in ("", *ORIGINS):
        return {}
    card = load_network(find_model(init, weights=True)).card
    classifier = {"model.architecture": card.architecture, "model.width": card.width}
    if transfer == "backbone":
        return classifier
    front_end = next((name for name in FRONT_ENDS if _has_front_end(card, name)), None)
    if front_end is None:
        raise SettingError("init", init, f"its front end is none of {', '.join(FRONT_ENDS)}")
    own, mel = FRONT_ENDS[front_end].config, card.mel
    fields = {
        **asdict(card.variant),
        "front_end": front_end,
        "hop": 0.0 if mel.hop == own.hop else 1000 * mel.hop / mel.sample_rate,
        "bins": 0 if mel.mel_bins == own.mel_bins else mel.mel_bins,
    }
    if not card.variant.anchors:  # any network can be conditioned
        del fields["conditioning"], fields["anchors"]
    return classifier | {f"model.{name}": value for name, value in fields.items()}


def _has_front_end(card: ModelCard, front_end: str) -> bool:
    spec = FRONT_ENDS[front_end]
    same = replace(spec.config, hop=card.mel.hop, mel_bins=card.mel.mel_bins)
    return (spec.kind, same) == (card.variant.front_end, card.mel)


def model_card(recipe: Recipe, dataset: Dataset, name: str) -> ModelCard:
    """The card of the model to train."""
    rate = recipe.rate
    splits = ", ".join(split_names(recipe.data, dataset)["train"])
    origin = ORIGINS.get(recipe.model.init, recipe.model.init)
    return ModelCard(
        name=name,
        architecture=recipe.model.architecture,
        width=recipe.model.width,
        classes=dataset.classes,
        class_ids=dataset.class_ids,
        mel=recipe.model.mel,
        variant=recipe.variant,
        license=dataset.licence or "not stated",
        trained_on=f"{dataset.name} ({splits})" + (f": {dataset.citation}" if dataset.citation else ""),
        derived_from=origin,
        sample_duration=recipe.data.seconds or dataset.seconds,
        minimum_fps=rate.minimum,
        maximum_fps=rate.maximum,
        default_fps=rate.default,
        multi_label=dataset.multi_label,
    )


def _copy_weights(network: DiffResNetwork, source: DiffResNetwork, name: str, transfer: str) -> None:
    """Copy every weight that fits; where the classes differ, the layer that scores them does not."""
    ours, theirs = network.card, source.card
    if transfer == "all" and (ours.mel, ours.variant.front_end) != (theirs.mel, theirs.variant.front_end):
        raise UsageError(
            f"model.init {name}: it has another front end; set model.front_end to its own, or "
            "model.transfer=backbone"
        )
    if (ours.architecture, ours.width) != (theirs.architecture, theirs.width):
        raise UsageError(
            f"model.init {name}: holds no weights for {ours.architecture}, width {ours.width:g}; it is "
            f"{theirs.architecture}, width {theirs.width:g}"
        )
    state, parts = network.state_dict(), ("",) if transfer == "all" else ("backbone.", "conditioning.")
    taken = {
        key: value
        for key, value in source.state_dict().items()
        if key.startswith(parts)
        and key != "conditioning.batches"
        and key in state
        and state[key].shape == value.shape
        and (ours.classes == theirs.classes or not _scores_classes(key, network))
    }
    network.load_state_dict(taken, strict=False)
    if _anchors(network) != _anchors(source):
        _copy_statistics(network)


def _anchors(network: DiffResNetwork) -> tuple[float, ...]:
    return network.conditioning.anchors if network.conditioning else ()


def _copy_statistics(network: DiffResNetwork) -> None:
    """Start every frame rate from the statistics that were loaded."""
    if network.conditioning:
        network.conditioning.copy_statistics(network.backbone)


def _scores_classes(key: str, network: DiffResNetwork) -> bool:
    last = [name for name, module in network.backbone.named_modules() if isinstance(module, nn.Linear)]
    heads = ["head", *last[-1:]]
    return any(key.startswith((f"backbone.{head}.", f"conditioning.delta.{head}.")) for head in heads)
