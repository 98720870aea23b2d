"""A model on clips at several frame rates -> probabilities, and the time a clip takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.datasets.waveforms.cache import WaveformCache
from diffres_cli.inference.runtime import Runtime
from diffres_cli.timeouts import run_with_timeout


class Window(NamedTuple):
    """A stretch of a clip, in samples."""

    clip: int
    first: int
    samples: int


class ClipScores(NamedTuple):
    """The scores of clips at one rate.

    Attributes:
        probabilities: [clips, classes].
        seconds: the model's time for a clip of the mean length, by the median batch.
    """

    probabilities: Floats
    seconds: float


def score_clips(
    runtime: Runtime,
    waveforms: WaveformCache,
    clips: Sequence[int],
    rates: Sequence[float],
    batch_size: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[ClipScores]:
    """Run a model on clips, at each rate.

    Only windows of one length share a batch, so that nothing is padded and no clip's scores depend on
    the others. A clip longer than the model's window is cut, and scored by its windows' largest, as
    `diffres tag` does: a sound in one window is in the clip, and what is measured is what users get.

    Times are of the model alone, from samples in memory to probabilities in memory. Each batch is run at
    one rate after the other, so that what else the machine does slows all of them; the first batch is run
    before, untimed.

    Args:
        clips: indices into `waveforms`, of which each has samples. rates: output frames per second.
        batch_size: windows at once. on_progress: called with how many clips are begun, and of how many.

    Returns:
        One entry for each rate.

    Raises:
        ModelError: the model fails, or what it gives is no number.
    """
    lengths = waveforms.lengths[list(clips)]
    shape = (len(rates), len(clips), len(runtime.card.classes))
    probabilities = np.zeros(shape, np.float32)
    paces: list[list[float]] = [[] for _ in rates]  # seconds a sample
    begun = 0
    for number, batch in enumerate(window_batches(cut_windows(runtime.card, lengths), batch_size)):
        places = [window.clip for window in batch]
        firsts = [window.first for window in batch]
        waveform = waveforms.read([clips[place] for place in places], batch[0].samples, firsts)
        for fps in rates if number == 0 else ():
            _run(runtime, waveform, fps)
        for fps, held, pace in zip(rates, probabilities, paces, strict=True):
            began = time.perf_counter()
            found = _run(runtime, waveform, fps)
            pace.append((time.perf_counter() - began) / waveform.size)
            np.maximum.at(held, places, found)
        begun += firsts.count(0)
        on_progress(begun, len(clips))
    mean = float(lengths.mean())
    return [ClipScores(held, median(pace) * mean) for held, pace in zip(probabilities, paces, strict=True)]


def cut_windows(card: ModelCard, lengths: Sequence[int] | NDArray[np.int64]) -> list[Window]:
    """Clips of these lengths as windows, as `diffres_cli.audio.windows` cuts a recording.

    A rest too short for a window of its own joins the last; one too short for a whole window has the samples
    before it, too.
    """
    size = round(card.sample_duration * card.sample_rate)
    least = max(card.mel.minimum_samples, 1)
    windows = []
    for clip, length in enumerate(map(int, lengths)):
        count = 1 + max(0, length - least) // size
        windows += [Window(clip, i * size, size) for i in range(count - 1)]
        first = max(0, min((count - 1) * size, length - size))
        windows.append(Window(clip, first, length - first))
    return windows


def window_batches(windows: Sequence[Window], size: int) -> Iterator[list[Window]]:
    """Groups of at most `size` windows of one length, the longest first: memory is short at once or never."""
    ordered = sorted(windows, key=lambda window: -window.samples)
    for _, alike in groupby(ordered, key=lambda window: window.samples):
        held = list(alike)
        yield from (held[start : start + size] for start in range(0, len(held), size))


def _run(runtime: Runtime, waveform: Floats, fps: float) -> Floats:
    return run_with_timeout(partial(runtime.run, waveform, fps, ("probabilities",)))["probabilities"]
