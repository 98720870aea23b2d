"""An INT8 twin and what is known of it: how often it agrees with its float graph, and the time it takes.

Whether INT8 is worth having depends on the model, the CPU and the sound, so it is measured where it is made,
and refused where it does not pay.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import thread_time

import numpy as np

from diffres_cli.audio import open_recording, windows
from diffres_cli.card import ModelCard
from diffres_cli.checkpoint import ModelFile
from diffres_cli.errors import AudioError, ModelError, UsageError
from diffres_cli.model.quantize import SCHEME, Feed, quantize, with_metadata
from diffres_cli.prediction import Floats
from diffres_cli.runtime import OnnxRuntime
from diffres_cli.timing import slots_at

HEADING = "## INT8"
RATES = (25.0, 50.0, 100.0)
LEAST_AGREEMENT = 0.95
FEWEST, MOST, MOST_OF_ONE = 40, 128, 4  # windows, of all recordings and of each


@dataclass(frozen=True)
class Row:
    """The twin against its float graph at one frame rate.

    Attributes:
        agreement: share of windows with the same best label. largest, mean: difference of scores.
        time: the twin's over the float graph's, on one thread.
    """

    fps: float
    agreement: float
    largest: float
    mean: float
    time: float


@dataclass(frozen=True)
class Report:
    """Rows for each of `windows` windows of sound that the calibration did not hear."""

    windows: int
    rows: tuple[Row, ...]

    @property
    def faults(self) -> list[str]:
        """Why not to use the twin; empty where it agrees and is faster at every rate."""
        agreement, time = min(row.agreement for row in self.rows), max(row.time for row in self.rows)
        found = []
        if time >= 1:
            found.append(f"it is not faster (up to {time:.2f} of float's time)")
        if agreement < LEAST_AGREEMENT:
            found.append(f"its best label agrees for {agreement:.1%} only (at least {LEAST_AGREEMENT:.0%})")
        return found

    def lines(self) -> list[str]:
        """The rows of a Markdown table."""
        return [
            f"| {row.fps:g} | {row.agreement:.1%} | {row.largest:.3f} | {row.mean:.5f} | {row.time:.2f} |"
            for row in self.rows
        ]

    def markdown(self) -> str:
        """A section of a model card."""
        words = textwrap.fill(
            f"{SCHEME}, against the float graph on {self.windows} windows that the calibration did not hear. "
            "Time is one thread's, over float's, on the machine that exported it.",
            width=104,
        )
        return "\n".join(
            [
                f"{HEADING}\n\n{words}\n",
                "| fps | same best label | largest difference | mean difference | time |",
                "|---|---|---|---|---|",
                *self.lines(),
                "",
            ]
        )


@dataclass(frozen=True)
class Int8:
    """A twin, with its report in its metadata."""

    graph: bytes
    report: Report


def make_int8(graph: bytes, card: ModelCard, recordings: Iterable[Path | AudioError]) -> Int8:
    """Calibrate a twin on every other window of some recordings, and compare it on the rest.

    At most 4 windows a recording are used, and 128 in all.

    Raises:
        UsageError: fewer than 40 windows. AudioError: a recording that cannot be read.
        ModelError: a graph that cannot be quantised.
    """
    heard = list(islice(_windows(recordings, card), MOST))
    if len(heard) < FEWEST:
        raise UsageError(
            f"--calibrate: {len(heard)} windows of up to {card.sample_duration:g} s; give at least {FEWEST}, "
            f"in recordings like those to come (at most {MOST_OF_ONE} of one are used)"
        )
    rates = _rates(card)
    feeds = (feed(waveform, rates[i % len(rates)], card) for i, waveform in enumerate(heard[::2]))
    twin = quantize(graph, feeds)
    report = compare(graph, twin, heard[1::2])
    facts = {"scheme": SCHEME, **asdict(report)}
    return Int8(with_metadata(twin, {"quantization": json.dumps(facts)}), report)


def accepted_int8(
    graph: bytes,
    card: ModelCard,
    recordings: Iterable[Path | AudioError],
    *,
    force: bool = False,
    on_report: Callable[[Report], None] | None = None,
) -> Int8:
    """What `make_int8` makes, where it pays.

    Args:
        force: or where it does not. on_report: told what was measured, before anything is refused.

    Raises:
        ModelError: it is not faster, or agrees too little. Others: see `make_int8`.
    """
    made = make_int8(graph, card, recordings)
    if on_report:
        on_report(made.report)
    if made.report.faults and not force:
        raise ModelError(
            f"INT8 refused: {', and '.join(made.report.faults)}; nothing was written (--force writes it)"
        )
    return made


def compare(graph: bytes, twin: bytes, heard: list[Floats]) -> Report:
    """Both graphs over the same windows, in turn, on one thread each.

    Args:
        heard: waveforms [N] at the model's sample rate.

    Raises:
        ModelError: ONNX Runtime cannot run one of them.
    """
    pair = [
        OnnxRuntime(ModelFile(Path(name), data), "cpu", 1)
        for name, data in (("float", graph), ("INT8", twin))
    ]
    return Report(len(heard), tuple(_row(pair, heard, fps) for fps in _rates(pair[0].card)))


def _row(pair: list[OnnxRuntime], heard: list[Floats], fps: float) -> Row:
    runs = [[_timed(runtime, waveform, fps) for runtime in pair] for waveform in heard]
    scores = np.array([[probabilities for probabilities, _ in run] for run in runs])
    seconds = np.array([[taken for _, taken in run] for run in runs])
    best, difference = scores.argmax(2), np.abs(scores[:, 0] - scores[:, 1])
    return Row(
        fps,
        agreement=float((best[:, 0] == best[:, 1]).mean()),
        largest=float(difference.max()),
        mean=float(difference.mean()),
        time=float(np.median(seconds[:, 1] / seconds[:, 0])),
    )


def _timed(runtime: OnnxRuntime, waveform: Floats, fps: float) -> tuple[Floats, float]:
    inputs = feed(waveform, fps, runtime.card)
    begun = thread_time()  # the CPU time of this thread, which busy neighbours hardly change
    values = runtime.run(inputs["waveform"], len(inputs["slots"]), ["probabilities"])
    return values["probabilities"][0], thread_time() - begun


def feed(waveform: Floats, fps: float, card: ModelCard) -> Feed:
    """A graph's inputs for one waveform [N] at `fps`."""
    slots = slots_at(fps, card.mel.frames(len(waveform)), card.mel.frame_rate)
    return {"waveform": waveform[None], "slots": np.zeros(slots, np.float32)}


def _rates(card: ModelCard) -> list[float]:
    return sorted({min(max(fps, card.minimum_fps), card.maximum_fps) for fps in RATES})


def _windows(recordings: Iterable[Path | AudioError], card: ModelCard) -> Iterator[Floats]:
    size = round(card.sample_duration * card.sample_rate)
    for found in recordings:
        if isinstance(found, AudioError):
            raise found
        with open_recording(found) as recording:
            cut = windows(recording.blocks(card.sample_rate), size, size, card.mel.minimum_samples)
            yield from (waveform for _, waveform in islice(cut, MOST_OF_ONE))
