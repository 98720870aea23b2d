"""Build checkpoints/audioset-small from an adapted network: check it, export it, write its card and fixture.

    python scripts/build_conditioned.py runs/start
    diffres train --recipe examples/adapt.toml --init runs/start --soft-labels FOLDER -o runs/adapted
    python scripts/build_audioset_small.py runs/adapted

(The card of the shipped one has all of its commands.)

scripts/collect_audio.py makes FOLDER. Nothing is written unless the network gives at full rate its
original's probabilities to 1e-6, and at every length and rate of the fixture those of
scripts/plain_tagger.py to 1e-5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from build_conditioned import SHARED, TOLERANCE, difference_at_full_rate
from plain_tagger import plain_scores
from safetensors.torch import load_file

from diffres_cli.checkpoint.find import PARENTS_NAME, find_model
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.publish import publish
from diffres_cli.nn.weights import load_network

HERE = Path(__file__).parent
TARGET = HERE.parent / "checkpoints" / "audioset-small"
FIXTURE = HERE.parent / "tests" / "fixtures" / "parity.npz"
RATES = (20, 25, 50, 75, 100)
TRAINED_ON = "about 26 h of openly licensed recordings, without labels, by the scores of its original"
DERIVED_FROM = "EfficientAT mn04_as (Schmid, Koutini, Widmer; MIT licence), trained on AudioSet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("adapted", help="a run folder, a checkpoint folder or a weights file")
    parser.add_argument("--original", type=Path, default=SHARED / "mn04-original")
    options = parser.parse_args()
    network = load_network(find_model(options.adapted, weights=True))
    network.card = replace(
        network.card, trained_on=TRAINED_ON, derived_from=DERIVED_FROM, license="MIT", name=TARGET.name
    )
    full = difference_at_full_rate(network, load_file(options.original / "weights.safetensors"))
    check("full rate", full, "its original's", TOLERANCE)
    fixture = plain_numbers(network)
    check("fixture", worst_difference(network, fixture), "the plain tagger's", 1e-5)
    notes = (HERE / "audioset_small_card.md").read_text("utf-8")
    parents = (TARGET / PARENTS_NAME).read_bytes()  # by scripts/build_parents.py
    print(f"ONNX: largest difference {publish(network, TARGET, notes, parents):.1e}")
    np.savez_compressed(FIXTURE, **fixture)


def check(what: str, difference: float, whose: str, allowed: float) -> None:
    print(f"{what}: largest difference {difference:.1e}")
    if not difference <= allowed:
        raise SystemExit(f"the network does not give {whose} numbers (allowed {allowed:g})")


def plain_numbers(network: DiffResNetwork) -> dict[str, Any]:
    """The clips of the fixture, and what the plain tagger makes of them at each rate."""
    weights = network.state_dict()
    with np.load(FIXTURE, allow_pickle=False) as before:
        fixture = {name: before[name] for name in before if name.startswith("wave_")}
    for name in list(fixture):
        for fps in RATES:
            with torch.no_grad():
                scores = plain_scores(weights, torch.from_numpy(fixture[name]), float(fps))
            for kind, values in zip(("prob", "importance"), scores, strict=True):
                fixture[f"{kind}_{name.removeprefix('wave_')}_{fps}"] = values.float().numpy()
    return fixture | {"labels": np.array(network.card.classes), "mids": np.array(network.card.class_ids)}


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
    main()
