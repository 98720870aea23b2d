"""Clips a second, waveform in, probabilities out, with random weights (Figure 5): measured and tabulated.

All networks are held at once and take turns, so that whatever else the machine does slows them alike: a ratio
is one of two measurements made within the same round.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.markup import Row, Table, TableValue
from diffres_cli.comparison.paper import front_end_name
from diffres_cli.comparison.plan import Plan
from diffres_cli.comparison.work import failure_of
from diffres_cli.datasets.catalog import find_source
from diffres_cli.datasets.clip import Dataset
from diffres_cli.errors import UsageError
from diffres_cli.evaluation.result import mean_and_std
from diffres_cli.files import read_json, write_json
from diffres_cli.pool import Report
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.text import pluralize

_ROUNDS = 7
_IRRELEVANT = {"model.init": "", "data.fold": 0}  # neither weights nor a fold change how long it takes


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        seconds: cell -> a clip's time, of each round. failures: cell -> why it could not run.
    """

    machine: str
    device: str
    threads: int
    seconds: Mapping[str, Sequence[float]]
    failures: Mapping[str, str]

    def rate(self, key: str) -> float:
        """Clips a second."""
        return 1 / statistics.median(self.seconds[key])

    def ratio(self, key: str, base: str) -> TableValue:
        """How many times as fast as another: the median of the rounds, with their standard deviation."""
        rounds = [other / own for own, other in zip(self.seconds[key], self.seconds[base], strict=True)]
        return TableValue(statistics.median(rounds), mean_and_std(rounds).std, digits=2)


def speed_key(cell: Cell) -> str:
    """What a cell is called in a file of measurements."""
    return f"{cell.key} {cell.rates[0]:g}"


def measured_path(plan: Plan, output: Path) -> Path:
    """Where a plan's measurements are kept."""
    return output / f"{plan.name}.measured.json"


def read_measured(plan: Plan, output: Path) -> Measured | None:
    """What `measure` found; None before."""
    try:
        return Measured(**read_json(measured_path(plan, output)))
    except (UsageError, TypeError):
        return None


def measure(path: Path, device: str, cells: Sequence[Cell], report: Report) -> str:
    """Measure cells in rotation, and write a `Measured` to a file. Returns why that failed, or "".

    Args:
        device: auto, cpu or cuda. report: called with the current step.
    """
    return failure_of(lambda: _measure(path, device, cells, report), path.with_suffix(".log"))


def _measure(path: Path, device: str, cells: Sequence[Cell], report: Report) -> None:
    import torch

    from diffres_cli.evaluation.provenance import machine
    from diffres_cli.nn.backend import resolve_device

    device = resolve_device(device)
    failures: dict[str, str] = {}
    timers: dict[str, Callable[[], float]] = {}
    for cell in cells:
        try:
            timer = _timer(cell.recipe.changed(_IRRELEVANT, ""), cell.rates[0], device)
            timer()  # the first time takes longer, or fails
            timers[speed_key(cell)] = timer
        except Exception as error:
            failures[speed_key(cell)] = f"{type(error).__name__}: {error}".splitlines()[0]
    seconds: dict[str, list[float]] = {key: [] for key in timers}
    for number in range(_ROUNDS):
        report(f"round {number + 1} of {_ROUNDS}")
        for key in random.Random(number).sample(list(timers), len(timers)):  # another order each time
            seconds[key].append(timers[key]())
    write_json(path, vars(Measured(machine(), device, torch.get_num_threads(), seconds, failures)))


def _timer(recipe: Recipe, fps: float, device: str) -> Callable[[], float]:
    """A function that runs a network with random weights on a batch of noise: seconds a clip."""
    import torch

    from diffres_cli.training.start import initial_network

    source = find_source(recipe.data.dataset)
    classes = tuple(map(str, range(max(2, source.classes))))
    dataset = Dataset(
        source.name, Path(), classes, classes, source.multi_label, source.seconds, source.licence, "", ()
    )
    network = initial_network(recipe, dataset, "throughput").eval().to(device)
    samples = round(recipe.data.seconds * network.card.mel.sample_rate)
    frames = network.card.mel.frames(samples)
    noise = torch.randn(recipe.training.batch_size, samples, generator=torch.Generator().manual_seed(0))
    waveform = (0.1 * noise).to(device)
    synchronize: Callable[[], object] = torch.cuda.synchronize if waveform.is_cuda else lambda: None

    def seconds() -> float:
        synchronize()
        began = time.perf_counter()
        with torch.inference_mode():  # not by `forward`, which after a change of hop makes all T frames, too
            power = network.spectrogram(waveform, fps)
            network.from_spectrogram(power, fps, frames=frames)
        synchronize()
        return (time.perf_counter() - began) / len(waveform)

    return seconds


def speeds(cells: Sequence[Cell], measured: Measured) -> dict[str, dict[float, str]]:
    """Front end and reduction -> fps -> key of what was measured, without the baseline."""
    found: dict[str, dict[float, str]] = {}
    for cell in cells:
        if not cell.baseline:
            held = found.setdefault(front_end_name(cell, plain=False), {})
            if speed_key(cell) in measured.seconds:
                held[cell.rates[0]] = speed_key(cell)
    return found


def table_of_speed(plan: Plan, cells: Sequence[Cell], measured: Measured) -> Table:
    """Rows front end and reduction, columns clips per second by frame rate, and multiples of the baseline."""
    base = next((cell for cell in cells if cell.baseline and speed_key(cell) in measured.seconds), None)
    rates = sorted({cell.rates[0] for cell in cells if not cell.baseline})
    rows = []
    for name, keys in speeds(cells, measured).items():
        values: list[TableValue | None] = []
        for key in map(keys.get, rates):
            values.append(TableValue(measured.rate(key)) if key else None)
            if base:
                values.append(measured.ratio(key, speed_key(base)) if key else None)
        rows.append(Row((name,), tuple(values)))
    columns = [name for fps in rates for name in (f"{fps:g} fps", *((f"{fps:g} fps ×",) if base else ()))]
    notes = tuple(_notes(cells[0].recipe, measured, base))
    return Table(plan.title, ("front end",), tuple(columns), tuple(rows), notes)


def _notes(recipe: Recipe, measured: Measured, base: Cell | None) -> list[str]:
    notes = [
        f"Clips a second from waveform to probabilities, clips of {recipe.data.seconds:g} s in batches of "
        f"{recipe.training.batch_size}, {recipe.model.architecture}, random weights, {measured.device}, "
        f"{pluralize(measured.threads, 'thread')}; {measured.machine}."
    ]
    if base:
        notes.append(
            f"×: how many times as fast as {front_end_name(base, plain=False)} at {base.rates[0]:g} fps in "
            "the same round, median ± standard deviation of the rounds."
        )
    return notes + [f"Not measured: {why}." for why in dict.fromkeys(measured.failures.values())]
