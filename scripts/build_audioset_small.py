"""Build checkpoints/audioset-small from the released weights: check them, export, write the card.

    python scripts/build_audioset_small.py ../shared/weights/audioset-small

The folder holds weights.safetensors and parity.npz. Nothing is written unless the network gives the
fixture's probabilities and importance to 1e-4 at every length and rate it lists.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.publish import publish
from diffres_cli.nn.weights import network_from

HERE = Path(__file__).parent
TARGET = HERE.parent / "checkpoints" / "audioset-small"
FIXTURE = HERE.parent / "tests" / "fixtures" / "parity.npz"
TOLERANCE = 1e-4


def main(source: Path) -> None:
    fixture = np.load(source / "parity.npz", allow_pickle=False)
    network = network_from(card(fixture), load_file(source / "weights.safetensors"), str(source))
    worst = worst_difference(network, fixture)
    print(f"fixture: largest difference {worst:.1e}")
    if worst > TOLERANCE:
        raise SystemExit(f"the network does not give the fixture's numbers (allowed {TOLERANCE:g})")
    notes = (HERE / "audioset_small_card.md").read_text("utf-8")
    print(f"ONNX: largest difference {publish(network, TARGET, notes):.1e}")
    FIXTURE.parent.mkdir(exist_ok=True)
    shutil.copyfile(source / "parity.npz", FIXTURE)


def card(fixture: Mapping[str, Any]) -> ModelCard:
    return ModelCard(
        name="audioset-small",
        architecture="mobilenet_v3_large",
        classes=tuple(str(label) for label in fixture["labels"]),
        class_ids=tuple(str(mid) for mid in fixture["mids"]),
        mel=AUDIOSET_SMALL,
        license="MIT",
        trained_on=(
            "about 28 h of openly licensed recordings, without labels, by self-distillation from its original"
        ),
        derived_from="EfficientAT mn04_as (Schmid, Koutini, Widmer; MIT licence), trained on AudioSet",
        width=0.4,
    )


def worst_difference(network: DiffResNetwork, fixture: Mapping[str, Any]) -> float:
    """Over every clip and rate of the fixture, in probabilities and importance."""
    worst = 0.0
    for key in (key for key in fixture if key.startswith("prob_")):
        _, clip, fps = key.split("_")
        waveform = torch.from_numpy(fixture[f"wave_{clip}"])[None]
        with torch.no_grad():
            output = network(waveform, float(fps))
        for got, name in ((output.probabilities, key), (output.importance, f"importance_{clip}_{fps}")):
            worst = max(worst, float(np.abs(got[0].numpy() - fixture[name]).max()))
    return worst


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/weights/audioset-small"))
