"""Build a checkpoint conditioned on the frame rate from the original tagger and what was learned beside it.

    python scripts/build_conditioned.py runs/conditioned

W0 is ../shared/weights/mn04-original; dW, the importance network and the weight of its novelty term are
../shared/weights/audioset-small-conditioned. Nothing is written unless the network gives, at full rate, the
original's probabilities to 1e-6.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.variant import PAPER_VARIANT, Variant
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.publish import publish
from diffres_cli.nn.weights import load_network, network_from

SHARED = Path("../shared/weights")
UPDATES = 2761
TOLERANCE = 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", type=Path, help="the checkpoint folder to write")
    parser.add_argument("--original", type=Path, default=SHARED / "mn04-original")
    parser.add_argument("--adapted", type=Path, default=SHARED / "audioset-small-conditioned")
    options = parser.parse_args()
    original = load_file(options.original / "weights.safetensors")
    adapted = load_file(options.adapted / "weights.safetensors")
    network = network_from(card(), state(original, adapted), str(options.adapted))
    worst = difference_at_full_rate(network, original)
    print(f"full rate: largest difference from the original {worst:.1e}")
    if not worst <= TOLERANCE:
        raise SystemExit(f"the network is not its original at full rate (allowed {TOLERANCE:g})")
    print(f"ONNX: largest difference {publish(network, options.target):.1e}")


def card() -> ModelCard:
    shipped = load_network(find_model("audioset-small", weights=True)).card
    return replace(
        shipped,
        trained_on="about 25 h of openly licensed recordings, mixed, by the scores of its original",
        variant=Variant(
            importance="resconv1d-novelty", conditioning="all", anchors=(shipped.mel.frame_rate,)
        ),
    )


def state(original: dict[str, Tensor], adapted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both files under the names of a conditioned network; its one anchor has the original's statistics."""
    renamed = {
        name.replace("delta.backbone.", "conditioning.delta."): values
        for name, values in adapted.items()
        if name != "novelty.weight"
    }
    return {
        **original,
        **renamed,
        "importance.novelty_weight": adapted["novelty.weight"].reshape(()),
        "conditioning.batches": torch.tensor([float(UPDATES)]),
    }


def unadapted(card: ModelCard, original: dict[str, Tensor]) -> DiffResNetwork:
    """The original as a network of ours: sound at full rate alone, since its importance is random."""
    torch.manual_seed(0)
    network = DiffResNetwork(replace(card, name="mn04-original", variant=PAPER_VARIANT)).eval()
    missing, unexpected = network.load_state_dict(original, strict=False)
    lost = [name for name in missing if name.startswith("backbone.") and "num_batches" not in name]
    if lost or unexpected:
        raise SystemExit(f"not the weights of the original: {', '.join([*lost, *unexpected][:3])}")
    return network


def difference_at_full_rate(network: DiffResNetwork, original: dict[str, Tensor]) -> float:
    """From the original, which reads nothing but the log spectrogram, on noise that comes and goes."""
    alone = unadapted(network.card, original)
    rate = network.card.sample_rate
    level = (torch.arange(5 * rate) / rate * 2).sin().square()
    waveform = 0.3 * torch.randn(4, 5 * rate, generator=torch.Generator().manual_seed(0)) * level
    with torch.no_grad():
        spectrogram = alone.front_end.log(alone.front_end(waveform))
        expected = alone.backbone(torch.stack([spectrogram, *2 * [torch.zeros_like(spectrogram)]], 1))
        got = network(waveform, network.card.mel.frame_rate)
    return float((got.probabilities - expected.probabilities).abs().max())


if __name__ == "__main__":
    main()
