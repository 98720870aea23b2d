"""Clips a second, waveform in, probabilities out, with random weights (Figure 5). A process of its own.

    python -m diffres_cli.comparison.throughput FILE

FILE holds an order, as JSON.

All networks are held at once and take turns, so that whatever else the machine does slows them alike: a ratio
is one of two measurements made within the same round.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffres_cli.comparison.child import serve, tell
from diffres_cli.datasets.catalog import find_source
from diffres_cli.datasets.clip import Dataset
from diffres_cli.errors import TrainingError
from diffres_cli.files import write_atomically
from diffres_cli.recipes.files import from_plain
from diffres_cli.recipes.recipe import Recipe

_ROUNDS = 7
_NO_MATTER = {"model.init": "", "data.fold": 0}  # neither weights nor a fold change how long it takes


@dataclass(frozen=True)
class Order:
    """What is to be measured.

    Attributes:
        cells: key -> recipe, as tables, and the frame rate. output: the file of results.
        device: auto, cpu or cuda. rounds: measurements of each.
    """

    cells: dict[str, tuple[dict[str, dict[str, Any]], float]]
    output: str
    device: str = "auto"
    rounds: int = _ROUNDS


def measure(order: Order) -> None:
    """Measure, and write machine, device, threads, the seconds a clip took in each round, and failures.

    Raises:
        UsageError: no such device. TrainingError: not one network could be run.
    """
    import torch

    from diffres_cli.evaluation.provenance import machine
    from diffres_cli.nn.backend import resolve_device

    device = resolve_device(order.device)
    failures: dict[str, str] = {}
    runs = {}
    for key, (tables, fps) in order.cells.items():
        try:
            recipe = from_plain(tables, Path(order.output)).changed(_NO_MATTER, "order")
            runs[key] = _Timed(recipe, fps, device)
            runs[key].seconds()
        except Exception as error:
            runs.pop(key, None)
            failures[key] = f"{type(error).__name__}: {error}".splitlines()[0]
            tell(f"{key}: {failures[key]}")
    seconds: dict[str, list[float]] = {key: [] for key in runs}
    for number in range(order.rounds):
        tell(f"round {number + 1} of {order.rounds}")
        for key in random.Random(number).sample(list(runs), len(runs)):  # nobody always comes after the same
            seconds[key].append(runs[key].seconds())
    found = {
        "machine": machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "failures": failures,
    }
    write_atomically(Path(order.output), json.dumps(found, indent=1).encode())
    if failures and not runs:
        raise TrainingError(next(iter(failures.values())))


class _Timed:
    """A network with random weights, and a batch of noise for it to hear."""

    def __init__(self, recipe: Recipe, fps: float, device: str) -> None:
        import torch

        from diffres_cli.training.start import initial_network

        self.network = initial_network(recipe, _dataset(recipe), "throughput").eval().to(device)
        mel = self.network.card.mel
        samples = round(recipe.data.seconds * mel.sample_rate)
        self.frames = mel.frames(samples)
        self.fps = fps
        noise = torch.randn(recipe.training.batch_size, samples, generator=torch.Generator().manual_seed(0))
        self.waveform = (0.1 * noise).to(device)

    def seconds(self) -> float:
        """A clip's time, of one batch."""
        import torch

        self._wait()
        began = time.perf_counter()
        with torch.inference_mode():  # not by `forward`, which after a change of hop makes all T frames, too
            power = self.network.spectrogram(self.waveform, self.fps)
            self.network.from_spectrogram(power, self.fps, frames=self.frames)
        self._wait()
        return (time.perf_counter() - began) / len(self.waveform)

    def _wait(self) -> None:
        if self.waveform.is_cuda:
            import torch

            torch.cuda.synchronize()


def _dataset(recipe: Recipe) -> Dataset:
    """As many classes as the recipe's dataset has, and no clips."""
    source = find_source(recipe.data.dataset)
    classes = tuple(map(str, range(max(2, source.classes))))
    return Dataset(
        source.name, Path(), classes, classes, source.multi_label, source.seconds, source.licence, "", ()
    )


if __name__ == "__main__":
    serve(lambda path: measure(Order(**json.loads(Path(path).read_text("utf-8")))))
