"""A network with random weights, and the graph exported from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth
from torchvision.ops.misc import Conv2dNormActivation

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.variant import Variant
from diffres_cli.inference.graph import with_fixed_rate
from diffres_cli.inference.runtime import OUTPUTS
from diffres_cli.nn.classifier import EfficientNetClassifier
from diffres_cli.nn.export import export_onnx
from diffres_cli.nn.network import DiffResNetwork

CARD = ModelCard(
    name="untrained", architecture="exported_networks:ShortEfficientNet",
    classes=("Dog", "Rain, heavy", "Пение птиц"), class_ids=("/m/1", "/m/2", "/m/3"),
    mel=PAPER, license="CC-BY-4.0", trained_on="nothing",
    derived_from="chance", sample_duration=4.0, minimum_fps=12.5, maximum_fps=100.0, default_fps=25.0,
    variant=Variant(conditioning="all", anchors=(100.0, 50.0, 25.0)),
)  # fmt: skip


class ShortEfficientNet(EfficientNetClassifier):
    """The first two of EfficientNet-B0's 16 blocks: exporting takes as long as there are layers."""

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__("b0", classes)
        last = Conv2dNormActivation(24, 1280, 1, activation_layer=nn.SiLU)
        self.features = nn.Sequential(*self.features[:2], self.features[2][0], last)


def bursts(batch: int, samples: int) -> Tensor:
    """Noise between silences, at other times in every clip."""
    generator = torch.Generator().manual_seed(samples)
    level = (torch.arange(samples) / 1500 + torch.arange(batch)[:, None]).sin().clamp_min(0)
    return 0.3 * torch.randn(batch, samples, generator=generator) * level


def untrained() -> DiffResNetwork:
    """A short EfficientNet-B0 behind the paper's front end, its weights random and other at each frame rate.

    As initialised it damps every sound to 1e-14: its normalisations have to see some sound first. Then
    it is chaotic: the last ones tame it, or float32's rounding alone would come near the tolerance.
    """
    torch.manual_seed(0)
    network = DiffResNetwork(CARD)
    for module in network.modules():
        if isinstance(module, (StochasticDepth, nn.Dropout)):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0  # keep what one batch has
    assert network.conditioning is not None
    with torch.no_grad():
        for delta in network.conditioning.delta.parameters():
            delta.normal_(0, 0.02)
        for fps in CARD.variant.anchors:
            network.train()(bursts(2, 160_000), fps)
        network.reduction.importance[-1].bn1.weight *= 0.3
        network.reduction.importance[-1].bn2.weight *= 0.3
    return network.eval()


def session_of(graph: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that the default of an input is no constant
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Twins:
    """A network and the graph exported from it."""

    def __init__(self, folder: Path) -> None:
        self.network = untrained()
        self.path = folder / "model.onnx"
        self.difference = export_onnx(self.network, self.path)
        self.session = session_of(self.path)
        graph = self.path.read_bytes()
        self.fixed = {fps: session_of(with_fixed_rate(graph, fps)) for fps in (12.5, 25.0, 33.3, 100.0)}

    def torch(self, waveform: Tensor, fps: float) -> dict[str, np.ndarray]:
        with torch.no_grad():
            found = self.network(waveform, fps)._asdict()
        return {name: value.numpy() for name, value in found.items() if value is not None}

    def onnx(self, waveform: Tensor, fps: float) -> dict[str, np.ndarray]:
        feed = {"waveform": waveform.numpy(), "fps": np.array(fps, np.float32)}
        return dict(zip(OUTPUTS, self.session.run(list(OUTPUTS), feed), strict=True))
