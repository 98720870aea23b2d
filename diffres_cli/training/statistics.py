"""BatchNorm statistics of a trained network at each of its anchors, as plain averages over batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.training.clips import TrainBatch
from diffres_cli.training.start import batch_norms


def estimate_statistics(network: DiffResNetwork, batches: Callable[[], Iterator[TrainBatch]]) -> None:
    """Replace the moving averages of training by means over `batches`, which follow the weights as they are.

    Args:
        batches: called for each anchor.
    """
    modes = {module: module.training for module in network.modules()}
    norms, device = batch_norms(network), next(network.parameters()).device
    momenta = [norm.momentum for norm in norms]
    network.eval()
    # Within inference mode, which validation is in, buffers would be tensors that no training may use.
    with torch.inference_mode(False), torch.no_grad():
        for learning in (*norms, network.conditioning):
            if learning is not None:
                learning.training = True
        for fps in network.card.variant.anchors:
            for number, batch in enumerate(batches()):
                for norm in norms:
                    norm.momentum = 1 / (number + 1)  # the mean of all batches so far
                network(batch.waveform.to(device), fps, batch.lengths)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, mode in modes.items():
        module.training = mode
