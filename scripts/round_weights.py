"""Round a run's weights to what half precision can hold, so that its checkpoint compresses to half its size.

    python scripts/round_weights.py runs/arabic-lite0

The file stays float32, and its statistics are not touched. Evaluate the run afterwards, not before: the
numbers of a card must be those of the weights it stands beside.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from diffres_cli.checkpoint.find import WEIGHTS_NAME
from diffres_cli.nn.weights import load_network, save_network


def main(run: Path) -> None:
    network = load_network(run / WEIGHTS_NAME)
    with torch.no_grad():
        for name, values in network.named_parameters():
            rounded = values.half().float()
            if not torch.isfinite(rounded).all():
                raise SystemExit(f"{name}: too large for half precision")
            values.copy_(rounded)
    save_network(network, run / WEIGHTS_NAME)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
