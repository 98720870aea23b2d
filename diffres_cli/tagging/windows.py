"""An open recording -> the predictions of its windows, which the model computes in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from diffres_cli.arrays import Floats, Seconds
from diffres_cli.audio import Recording, excerpt, windows
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.parts import frequencies
from diffres_cli.inference.runtime import Runtime
from diffres_cli.inference.timing import column_times, frame_times, output_frames_at, warp_edges
from diffres_cli.tagging.labels import Ranker
from diffres_cli.tagging.prediction import AdaptiveSpectrogram, WindowPrediction, is_even
from diffres_cli.tagging.settings import Settings, check_bool, require
from diffres_cli.timeouts import report_progress

_BATCH = {"cpu": 1, "cuda": 16}  # a CPU gains nothing from batches, and memory stays flat


class Window(NamedTuple):
    """A window to tag: its channel, None for the mix, the index of its first sample, its samples, [n]."""

    channel: int | None
    first: int
    samples: Floats


def tag_windows(
    runtime: Runtime,
    recording: Recording,
    settings: Settings,
    ranker: Ranker,
    outputs: Sequence[str],
    batch: int | None = None,
) -> Iterator[tuple[int | None, WindowPrediction]]:
    """Each window of a recording with its channel, None for the mix, in constant memory.

    Only windows of equal length share a batch, so no score depends on its neighbours.

    Args:
        settings: resolved. ranker: of these settings. outputs: which of `runtime.OUTPUTS` to compute.
        batch: the most windows in a batch; None: what suits the device.
    """
    card = runtime.card
    predict = partial(_predict, card=card, settings=settings, ranker=ranker)
    cut = _cut_windows(recording, settings, card.sample_rate, card.mel.minimum_samples)
    for group in _batches(cut, batch or _BATCH[runtime.device]):
        computed = runtime.run(np.stack([window.samples for window in group]), require(settings.fps), outputs)
        report_progress()
        for row, window in enumerate(group):
            yield window.channel, predict({name: value[row] for name, value in computed.items()}, window)


def outputs_for(settings: Settings, spectrogram: bool, framewise: bool) -> Sequence[str]:
    """The outputs of the model that a prediction is made of.

    Raises:
        SettingError: `spectrogram` or `framewise` is no bool.
    """
    spectrogram = check_bool("spectrogram", spectrogram)
    framewise = check_bool("framewise", framewise) or settings.events
    return (
        "probabilities",
        "importance",
        *(("framewise",) if framewise else ()),
        *(("mel", "merged") if spectrogram else ()),
        *(("embedding",) if settings.embeddings else ()),
    )


def _predict(
    values: dict[str, Floats], window: Window, card: ModelCard, settings: Settings, ranker: Ranker
) -> WindowPrediction:
    """A window's model outputs, keyed as in `runtime.OUTPUTS`, as labels and seconds."""
    start = window.first / card.sample_rate
    end = (window.first + len(window.samples)) / card.sample_rate
    probabilities, framewise = values["probabilities"], values.get("framewise")
    importance, rate = values["importance"], card.mel.frame_rate
    output_frames = output_frames_at(require(settings.fps), card.mel.frames(len(window.samples)), rate)
    edges = warp_edges(importance, output_frames, rate, start, end)
    return WindowPrediction(
        start=start,
        end=end,
        labels=ranker.top_labels(probabilities),
        probabilities=probabilities,
        spectrogram=_spectrogram(values, edges, card) if "mel" in values else None,
        framewise=framewise,
        framewise_times=None if framewise is None else column_times(edges, len(framewise)),
        importance=importance if settings.importance else None,
        embedding=values.get("embedding"),
        importance_is_even=is_even(importance) if output_frames < len(importance) else None,
    )


def _spectrogram(values: dict[str, Floats], edges: Seconds, card: ModelCard) -> AdaptiveSpectrogram:
    importance = values["importance"]
    return AdaptiveSpectrogram(
        mel=values["mel"],
        merged=values["merged"],
        importance=importance,
        frame_times=frame_times(len(importance), card.mel.frame_rate, edges[0]),
        edges=edges,
        mel_frequencies=frequencies(card.variant.front_end, card.mel),
    )


def _cut_windows(recording: Recording, settings: Settings, rate: int, minimum: int) -> Iterator[Window]:
    size = round(require(settings.window) * rate)
    hop = size - round(settings.overlap * rate)
    first = round(settings.start * rate)
    count = None if settings.duration is None else round(settings.duration * rate)
    part = excerpt(recording.blocks(rate, settings.channel), first, count)
    for offset, samples in windows(part, size, hop, minimum):
        if settings.channel == "each":
            for channel, own in enumerate(samples.T, start=1):
                yield Window(channel, first + offset, own)
        else:
            number = None if settings.channel == "mix" else settings.channel
            yield Window(number, first + offset, samples)


def _batches(windows: Iterable[Window], size: int) -> Iterator[list[Window]]:
    batch: list[Window] = []
    for window in windows:
        if batch and len(batch[0].samples) != len(window.samples):
            yield batch
            batch = []
        batch.append(window)
        if len(batch) == size:  # at once: the next window of a live stream may be a while
            yield batch
            batch = []
    if batch:
        yield batch
