"""Time what training consumes against what the input pipeline delivers.

    python bench/training.py [--data ../shared/data/arabic-speech-commands] [--device cpu] [--write]

Three loops over batches of the dataset's own recipe, in turn, round by round: the input pipeline alone
(cache, targets, augmentation's random numbers), training steps on one batch that stays in memory, and
training steps fed by the pipeline. *ratio* is the median over rounds of a loop's rate over that of steps
from memory in the same round. `--write` replaces docs/bench-training.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import lightning
import torch
from processor import processor
from torch import Tensor
from torch.utils.data import DataLoader

from diffres_cli.nn.objectives import empty_frames, frame_rms
from diffres_cli.recipes.files import recipe_for
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.training.augment import mask_spectrogram, mix, shift_waveform
from diffres_cli.training.batches import BatchPlan, PartSampler
from diffres_cli.training.clips import ClipSource, TrainBatch, TrainBatches
from diffres_cli.training.data import decode_data, find_data
from diffres_cli.training.loss import training_loss
from diffres_cli.training.start import initial_network

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "bench-training.md"
DATA = ROOT.parent / "shared" / "data" / "arabic-speech-commands"
PAGE_TEXT = """# Training, measured

Written by `python bench/training.py --device {device} --steps {steps} --rounds {rounds} --write`
on {machine}.
Data: the {clips:,} training clips of {name}, batches of {batch}; {architecture} at {fps:.0f} fps.
Medians of {rounds} rounds of {steps} batches; *ratio* is to steps on a batch that stays in memory, in the
same round.
Targets: the pipeline alone at least 3; on a GPU, fed steps at least 0.9.

| | clips/s | ratio |
|---|---:|---:|
{rows}

A cached epoch starts {start:.2f} s after the data is asked for: dataset read, cache opened, first batch there
(target: under 2 s).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    recipe = recipe_for("arabic-speechcommands").changed({"data.root": str(options.data)}, "--data")
    text = measure(recipe, torch.device(options.device), options.steps, options.rounds)
    print(text)
    if options.write:
        PAGE.write_text(text, "utf-8")


def measure(recipe: Recipe, device: torch.device, steps: int, rounds: int) -> str:
    decode_data(find_data(recipe, 1), recipe, lambda *_: None)  # decoded by now, whatever was there before
    began = time.perf_counter()
    found = find_data(recipe, 1)
    data = decode_data(found, recipe, lambda *_: None)
    loader = batches(recipe, data.train)
    kept = next(loader)
    start = time.perf_counter() - began
    network = initial_network(recipe, found.dataset, "bench").to(device).train()
    adam = torch.optim.Adam(network.parameters())
    mean_rate = (recipe.rate.minimum * recipe.rate.maximum) ** 0.5

    def step(batch: TrainBatch, fps: float) -> Tensor:
        batch = on(batch, device)
        waveform = mix(shift_waveform(batch.waveform, batch.shifts), batch.shares)
        mel = mask_spectrogram(network.front_end(waveform), batch.masks)
        empty = empty_frames(frame_rms(waveform, network.card.mel))
        targets = mix(batch.targets, batch.shares)
        loss = training_loss(network.from_spectrogram(mel, fps), empty, targets, recipe.loss).total
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        return loss.detach()

    step(kept, mean_rate)
    resident = on(kept, device)
    loops: dict[str, Callable[[], object]] = {
        "steps from memory": lambda: [step(resident, mean_rate) for _ in range(steps)],
        "input pipeline alone": lambda: [next(loader) for _ in range(steps)],
        "steps from the pipeline": lambda: [step(next(loader), mean_rate) for _ in range(steps)],
    }
    rates = timed(loops, steps * recipe.training.batch_size, rounds, device)
    return PAGE_TEXT.format(
        device=device, steps=steps, rounds=rounds, machine=machine(device), clips=len(data.train),
        name=recipe.data.dataset, batch=recipe.training.batch_size, architecture=recipe.model.architecture,
        rows=rows(rates), start=start, fps=mean_rate,
    )  # fmt: skip


def batches(recipe: Recipe, source: ClipSource) -> Iterator[TrainBatch]:
    plan = BatchPlan(len(source), recipe.training.batch_size, seed=0)
    for epoch in count():
        sampler = PartSampler(plan, partial(int, epoch))
        yield from DataLoader(TrainBatches(source, recipe), batch_size=None, sampler=sampler)


def on(batch: TrainBatch, device: torch.device) -> TrainBatch:
    tensors: dict[str, Any] = {
        name: value.to(device) for name, value in batch._asdict().items() if isinstance(value, Tensor)
    }
    return batch._replace(**tensors)


def timed(
    loops: dict[str, Callable[[], object]], clips: int, rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Clips a second of each loop, round by round."""
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            if device.type == "cuda":
                torch.cuda.synchronize()
            rates[name].append(clips / (time.perf_counter() - began))
    return rates


def rows(rates: dict[str, list[float]]) -> str:
    baseline = rates["steps from memory"]
    return "\n".join(
        f"| {name} | {statistics.median(values):,.0f} "
        f"| {statistics.median(v / b for v, b in zip(values, baseline, strict=True)):.2f} |"
        for name, values in rates.items()
    )


def machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name() if device.type == "cuda" else processor()
    versions = (
        f"Python {platform.python_version()}, torch {torch.__version__}, lightning {lightning.__version__}"
    )
    return f"{name}, {torch.get_num_threads()} threads; {versions}"


if __name__ == "__main__":
    main()
