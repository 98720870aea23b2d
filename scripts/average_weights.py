"""Average the weights of two runs, the second of which went on from the first.

    python scripts/average_weights.py runs/adapted runs/guided runs/averaged

The average gives up little of what either is better at (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models").
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from diffres_cli.checkpoint.find import WEIGHTS_NAME, find_model
from diffres_cli.files import make_folder
from diffres_cli.nn.weights import load_network, save_network


def main(first: str, second: str, target: Path) -> None:
    network, other = (load_network(find_model(each, weights=True)) for each in (first, second))
    with torch.no_grad():
        for values, others in zip(network.parameters(), other.parameters(), strict=True):
            values.lerp_(others, 0.5)
    make_folder(target)
    save_network(network, target / WEIGHTS_NAME)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
