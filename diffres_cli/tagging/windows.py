"""An open recording -> the predictions of its windows, in batches through the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from diffres_cli.arrays import Floats
from diffres_cli.audio import Recording, excerpt, windows
from diffres_cli.inference.runtime import Runtime
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.tagging.assemble import Assembler, require
from diffres_cli.tagging.prediction import WindowPrediction
from diffres_cli.tagging.settings import Settings
from diffres_cli.timeouts import report_progress

_BATCH = {"cpu": 1, "cuda": 16}  # a CPU gains nothing from batches, and memory stays flat


class Piece(NamedTuple):
    """A window to tag: its channel, None for the mix, the index of its first sample, its samples, [n]."""

    channel: int | None
    first: int
    samples: Floats


def tag_windows(
    runtime: Runtime,
    recording: Recording,
    settings: Settings,
    outputs: Sequence[str],
    batch: int | None = None,
) -> Iterator[tuple[int | None, WindowPrediction]]:
    """Each window of a recording with its channel, None for the mix, in constant memory.

    Only windows of equal length share a batch, so no score depends on its neighbours.

    Args:
        settings: resolved. outputs: which of `runtime.OUTPUTS` to compute.
        batch: the most windows in a batch; None: what suits the device.
    """
    card = runtime.card
    assembler, mel = Assembler(card, settings), card.mel
    pieces = _cut(recording, settings, card.sample_rate, mel.minimum_samples)
    for group in _batches(pieces, batch or _BATCH[runtime.device]):
        waveform = np.stack([piece.samples for piece in group])
        frames = mel.frames(waveform.shape[1])
        fps = require(settings.fps)
        output_frames = output_frames_at(fps, frames, mel.frame_rate)
        computed = runtime.run(waveform, fps, outputs)
        report_progress()
        for row, piece in enumerate(group):
            values = {name: value[row] for name, value in computed.items()}
            yield piece.channel, assembler.make_window(values, output_frames, piece.first, len(piece.samples))


def outputs_for(settings: Settings, spectrogram: bool, framewise: bool) -> Sequence[str]:
    """The outputs of the model that a prediction is made of."""
    framewise = framewise or settings.events
    return (
        "probabilities",
        *(("framewise",) if framewise else ()),
        *(("importance",) if framewise or spectrogram or settings.importance else ()),
        *(("mel", "merged") if spectrogram else ()),
        *(("embedding",) if settings.embeddings else ()),
    )


def _cut(recording: Recording, settings: Settings, rate: int, minimum: int) -> Iterator[Piece]:
    size = round(require(settings.window) * rate)
    hop = size - round(settings.overlap * rate)
    first = round(settings.start * rate)
    count = None if settings.duration is None else round(settings.duration * rate)
    part = excerpt(recording.blocks(rate, settings.channel), first, count)
    for offset, samples in windows(part, size, hop, minimum):
        if settings.channel == "each":
            for channel, own in enumerate(samples.T, start=1):
                yield Piece(channel, first + offset, own)
        else:
            number = None if settings.channel == "mix" else settings.channel
            yield Piece(number, first + offset, samples)


def _batches(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    for piece in pieces:
        if batch and len(batch[0].samples) != len(piece.samples):
            yield batch
            batch = []
        batch.append(piece)
        if len(batch) == size:  # at once: the next piece of a live stream may be a while
            yield batch
            batch = []
    if batch:
        yield batch
