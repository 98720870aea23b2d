"""Backbones and their pooling: [B, 3, F, t] -> class probabilities.

Another one is a class(classes, width) in a file of its own, whose `forward` returns `Scores`, and a line in
`BACKBONES` of `diffres_cli.checkpoint.parts`: `fcn.py` is the worked example.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import efficientnet_b0, efficientnet_b2, mobilenet_v3_large
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops.misc import SqueezeExcitation

from diffres_cli.checkpoint.parts import BACKBONES


class Scores(NamedTuple):
    """What a classifier makes of a batch.

    Shape:
        probabilities: [B, classes]. framewise: [B, t', classes], the same head applied to each column
            of the last feature map; t' = ceil(t / 32), for FCN-4 ceil(t / 64). embedding: [B, features].
    """

    probabilities: Tensor
    framewise: Tensor
    embedding: Tensor


class AttentionPooling(nn.Module):
    """Multi-head attention pooling (PSLA, Gong, Chung and Glass 2021, section III-C).

    Per head, sigmoid attention normalised over time weighs sigmoid class scores; the heads are mixed
    by learned weights. The softmax over those weights keeps the result a probability, which PSLA's
    free weights do not.
    """

    def __init__(self, features: int, classes: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.Conv1d(features, heads * classes, 1)
        self.scores = nn.Conv1d(features, heads * classes, 1)
        self.mix = nn.Parameter(torch.zeros(heads))

    def forward(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """[B, features, t'] -> probabilities [B, classes], framewise [B, t', classes]."""
        attention = self._by_head(self.attention(columns)).clamp(1e-7, 1 - 1e-7)
        scores = self._by_head(self.scores(columns))
        mix = self.mix.softmax(0)[:, None]
        pooled = (attention / attention.sum(3, keepdim=True) * scores).sum(3)
        # Weights that sum to 1 but for their rounding make 1 + 2e-7 of scores that are all 1.
        framewise = (scores * mix[..., None]).sum(1).transpose(1, 2).clamp_max(1.0)
        return (pooled * mix).sum(1).clamp_max(1.0), framewise

    def _by_head(self, logits: Tensor) -> Tensor:
        return torch.unflatten(logits, 1, (self.heads, -1)).sigmoid()


class EfficientNetClassifier(nn.Module):
    """EfficientNet features, mean over frequency, attention over time (the paper's classifier).

    Args:
        variant: "b0" or "b2". classes: of the label set. width: not used. heads: of the attention.
    """

    def __init__(self, variant: str, classes: int, width: float = 1.0, heads: int = 4) -> None:
        super().__init__()
        build = {"b0": efficientnet_b0, "b2": efficientnet_b2}[variant]
        network = build(num_classes=classes)
        self.features = network.features
        self.dropout = network.classifier[0]
        self.head = AttentionPooling(network.classifier[1].in_features, classes, heads)

    def forward(self, x: Tensor) -> Scores:
        """[B, 3, F, t] -> Scores."""
        columns = self.dropout(self.features(x).mean(2))
        with full_precision(x):
            columns = columns.float()
            probabilities, framewise = self.head(columns)
            return Scores(probabilities, framewise, columns.mean(2))


class MobileNetClassifier(nn.Module):
    """MobileNetV3-Large at any width, with EfficientAT's gate (sigmoid, not hard sigmoid).

    The parameters carry torchvision's own names.
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        gate = partial(SqueezeExcitation, scale_activation=nn.Sigmoid)
        network = mobilenet_v3_large(
            num_classes=classes, width_mult=width, block=partial(InvertedResidual, se_layer=gate)
        )
        self.features, self.classifier = network.features, network.classifier

    def forward(self, x: Tensor) -> Scores:
        """[B, 3, F, t] -> Scores."""
        columns = self.features(x).mean(2)
        with full_precision(x):
            columns = columns.float()
            embedding = columns.mean(2)
            framewise = self.classifier(columns.transpose(1, 2)).sigmoid()
            return Scores(self.classifier(embedding).sigmoid(), framewise, embedding)


def full_precision(x: Tensor) -> torch.autocast:
    """Scores are probabilities: in half precision those near 1 would all be 1."""
    return torch.autocast(x.device.type, enabled=False)


efficientnet_b0_classifier = partial(EfficientNetClassifier, "b0")
efficientnet_b2_classifier = partial(EfficientNetClassifier, "b2")


def build_backbone(architecture: str, classes: int, width: float = 1.0) -> nn.Module:
    """A classifier by its name in `BACKBONES`, or by import path.

    Args:
        classes: of the label set. width: channel multiplier; EfficientNet has one width.

    Raises:
        UsageError: an architecture that does not exist.
    """
    return BACKBONES.build(architecture, nn.Module, classes, width)
