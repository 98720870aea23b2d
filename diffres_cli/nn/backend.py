"""A network run by torch, as `diffres_cli.inference.runtime.Runtime` runs the exported graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.find import ModelFile
from diffres_cli.errors import ModelError, SettingError
from diffres_cli.inference.runtime import DEVICES, OUTPUTS, Runtime, check_outputs
from diffres_cli.nn.weights import network_from_bytes


class TorchRuntime(Runtime):
    """A safetensors checkpoint in torch."""

    backend = "torch"
    warnings: tuple[str, ...] = ()

    def __init__(self, model: ModelFile, device: str = "auto", threads: int = 1) -> None:
        """Load weights.

        Args:
            threads: 0 for as many as torch is set to, which is one a core.

        Raises:
            ModelError: not a diffres checkpoint. UsageError: `device` is not there.
        """
        self.device = resolve_device(device)
        self._threads = threads
        self._network = network_from_bytes(model.data, str(model.path)).to(self.device)
        self.card = self._network.card.renamed(model.name)

    def run(self, waveform: Floats, fps: float, outputs: Sequence[str] = OUTPUTS) -> dict[str, Floats]:
        """See `diffres_cli.inference.runtime.Runtime.run`.

        Raises:
            UsageError: a rate that the model does not serve.
            ModelError: torch fails, for want of memory say, or the network computes nonsense.
        """
        self.card.check_fps(fps)
        try:
            with torch.inference_mode(), _threads(self._threads):
                batch = torch.from_numpy(np.ascontiguousarray(waveform)).to(self.device)
                output = self._network(batch, fps)
            values = {name: getattr(output, name).cpu().numpy() for name in outputs}
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{self.card.name}: torch failed: {reason}") from error
        return check_outputs(values, self.card.name)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within this block torch runs on so many threads; the caller's own number holds again after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(device: str) -> str:
    """The device that "auto", "cpu" or "cuda" stands for here: "cpu" or "cuda".

    Raises:
        SettingError: none of these, or not there.
    """
    if device not in DEVICES:
        raise SettingError("device", device, f"choose {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingError("device", "cuda", "torch sees no CUDA device; choose cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
