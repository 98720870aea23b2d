"""Recordings -> windows -> predictions: the whole job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio import Recording, excerpt, open_recording, printable, windows
from diffres_cli.card import ModelCard
from diffres_cli.checkpoint import DEFAULT_MODEL, ModelFile, find_model, read_model
from diffres_cli.errors import AudioError, MissingDependencyError, UsageError
from diffres_cli.events import join, runs
from diffres_cli.labels import Indices, best, pool, rank
from diffres_cli.melconfig import frequencies
from diffres_cli.prediction import (
    AdaptiveSpectrogram,
    Event,
    Floats,
    Prediction,
    Seconds,
    WindowPrediction,
)
from diffres_cli.runtime import OnnxRuntime, Runtime
from diffres_cli.settings import Settings
from diffres_cli.timing import column_times, frame_times, slots_at, warp_edges

__all__ = ["BACKENDS", "Settings", "Tagger", "load_tagger"]

BACKENDS = ("onnx", "torch")
_T = TypeVar("_T")
_BATCH = {"cpu": 1, "cuda": 16}  # a CPU gains nothing from batches, and memory stays flat


class Tagger:
    """A loaded model, ready to tag. Make one with `load_tagger`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def card(self) -> ModelCard:
        """The model's facts: classes, rates, licence."""
        return self._runtime.card

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return self._runtime.device

    @property
    def backend(self) -> str:
        """What runs it: "onnx" or "torch"."""
        return self._runtime.backend

    @property
    def warnings(self) -> tuple[str, ...]:
        """What one should know of where it runs: a GPU that cannot be used, and why."""
        return self._runtime.warnings

    def tag(
        self,
        source: str | Path | bytes | BinaryIO | NDArray[Any],
        sample_rate: int | None = None,
        *,
        spectrogram: bool = True,
        framewise: bool = False,
        **settings: Any,
    ) -> Prediction:
        """Tag one recording.

        Args:
            source: a path, a file's bytes, a binary stream, or an array [N] or [N, channels].
            sample_rate: Hz, for an array. spectrogram: keep importance, warp and spectrograms.
            framewise: keep class scores along time. settings: the fields of `Settings`.

        Raises:
            AudioError: the recording cannot be read. UsageError: a setting out of range.

        >>> tagger = load_tagger("audioset-small")
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        >>> prediction = tagger.tag(noise, sample_rate=32000, fps=25)
        >>> prediction.labels[0].label, prediction.importance.shape, prediction.edges[0].shape
        ('Static', (100,), (26,))
        """
        with open_recording(source, sample_rate) as recording:
            return self.tag_recording(
                recording, Settings(**settings), spectrogram=spectrogram, framewise=framewise
            )

    def tag_recording(
        self,
        recording: Recording,
        settings: Settings,
        *,
        spectrogram: bool = False,
        framewise: bool = False,
        on_window: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Tag an open recording: its labels are its windows' best scores.

        Args:
            on_window: told the end of each window, in seconds, once it is tagged.

        Raises:
            AudioError: it cannot be decoded. UsageError: a setting out of range.
        """
        chosen = settings.resolve(self.card)
        allowed = chosen.allowed(self.card)
        scores: Floats | None = None
        found, heard = list[WindowPrediction](), list[Event]()
        outputs = _outputs(chosen, spectrogram, framewise)
        for window in self._windows(recording, chosen, allowed, outputs):
            scores = pool(scores, window.probabilities)
            if chosen.events:
                heard += self._heard(window, chosen, allowed)
            # Ten hours of framewise scores are 200 MB; the runs in them are next to nothing.
            found.append(window if framewise else replace(window, framewise=None, framewise_times=None))
            if on_window:
                on_window(window.end)
        if scores is None:  # only by `start`: a recording without samples was refused before
            raise AudioError(
                f"{printable(recording.name)}: it ends at {recording.duration:.2f} s, "
                f"--start is {chosen.start:g} s"
            )
        return Prediction(
            file=recording.name,
            duration=recording.duration,
            sample_rate=recording.sample_rate,
            model=self.card.name,
            fps=_given(chosen.fps),
            min_confidence=chosen.min_confidence,
            labels=rank(scores, self.card, chosen.top_k, chosen.min_confidence, allowed),
            windows=tuple(found),
            warnings=tuple(recording.warnings),
            events=join(heard, chosen.merge_gap, chosen.min_duration) if chosen.events else None,
            frame_rate=self.card.mel.frame_rate,
        )

    def windows(
        self, recording: Recording, settings: Settings, *, spectrogram: bool = False, framewise: bool = False
    ) -> Iterator[WindowPrediction]:
        """Tag an open recording window by window, as a stream, in constant memory.

        Only windows of equal length share a batch, so no score depends on its neighbours.
        """
        chosen = settings.resolve(self.card)
        outputs = _outputs(chosen, spectrogram, framewise)
        yield from self._windows(recording, chosen, chosen.allowed(self.card), outputs)

    def _windows(
        self, recording: Recording, settings: Settings, allowed: Indices | None, outputs: Sequence[str]
    ) -> Iterator[WindowPrediction]:
        for batch in _batches(self._cut(recording, settings), _BATCH[self.device]):
            waveform = np.stack([samples for _, samples in batch])
            mel = self.card.mel
            slots = slots_at(_given(settings.fps), mel.frames(waveform.shape[1]), mel.frame_rate)
            found = self._runtime.run(waveform, slots, outputs)
            for row, (first, samples) in enumerate(batch):
                values = {name: value[row] for name, value in found.items()}
                yield self._prediction(values, slots, first, len(samples), settings, allowed)

    def _cut(self, recording: Recording, settings: Settings) -> Iterator[tuple[int, Floats]]:
        rate = self.card.sample_rate
        size = round(_given(settings.window) * rate)
        hop = size - round(settings.overlap * rate)
        first = round(settings.start * rate)
        count = None if settings.duration is None else round(settings.duration * rate)
        part = excerpt(recording.blocks(rate), first, count)
        for offset, samples in windows(part, size, hop, self.card.mel.minimum_samples):
            yield first + offset, samples

    def _heard(
        self, window: WindowPrediction, settings: Settings, allowed: Indices | None
    ) -> Iterator[Event]:
        classes = best(window.probabilities, settings.top_k, settings.min_confidence, allowed)
        return runs(window, classes, self.card, settings.min_confidence)

    def _prediction(
        self,
        values: dict[str, Floats],
        slots: int,
        first: int,
        samples: int,
        settings: Settings,
        allowed: Indices | None,
    ) -> WindowPrediction:
        start = first / self.card.sample_rate
        end = (first + samples) / self.card.sample_rate
        probabilities = values["probabilities"]
        edges = self._edges(values, slots, start, end)
        return WindowPrediction(
            start=start,
            end=end,
            labels=rank(probabilities, self.card, settings.top_k, settings.min_confidence, allowed),
            probabilities=probabilities,
            spectrogram=self._spectrogram(values, edges, start) if "mel" in values else None,
            framewise=values.get("framewise"),
            framewise_times=column_times(edges, len(values["framewise"])) if "framewise" in values else None,
            importance=values["importance"] if settings.importance else None,
            embedding=values.get("embedding"),
        )

    def _edges(self, values: dict[str, Floats], slots: int, start: float, end: float) -> Seconds:
        if "importance" not in values:  # nobody asked for anything that lies in time
            return np.array([start, end])
        return warp_edges(values["importance"], slots, self.card.mel.frame_rate, start, end)

    def _spectrogram(self, values: dict[str, Floats], edges: Seconds, start: float) -> AdaptiveSpectrogram:
        mel = self.card.mel
        importance = values["importance"]
        return AdaptiveSpectrogram(
            mel=values["mel"],
            merged=values["merged"],
            importance=importance,
            frame_times=frame_times(len(importance), mel.frame_rate, start),
            edges=edges,
            mel_frequencies=frequencies(self.card.variant.front_end, mel),
        )


def load_tagger(
    model: str | Path = DEFAULT_MODEL,
    *,
    backend: str = "onnx",
    device: str = "auto",
    threads: int = 1,
    offline: bool = False,
) -> Tagger:
    """Load a model by shipped name, checkpoint folder, .onnx or .safetensors file, or hf:ORG/NAME[@REV].

    Args:
        backend: "onnx", or "torch" where the extra `train` is installed; a .safetensors file implies it.
        device: "auto", "cpu" or "cuda".
        threads: on a CPU; 0 for one a core. Another number adds in another order, which changes the last
            digits of a score; more than one saves about a tenth of the time.
        offline: never use the network; without it, only a hub model that is not installed does.

    Raises:
        UsageError: no such model, backend or device. ModelError: a damaged or foreign file.
        MissingDependencyError: torch is asked for and not installed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"--backend {backend}: choose {' or '.join(BACKENDS)}")
    file = find_model(model, weights=backend == "torch", offline=offline)
    return tagger_of(read_model(file), device, threads)


def tagger_of(model: ModelFile, device: str = "auto", threads: int = 1) -> Tagger:
    """The same for a model file that has been read.

    Raises:
        UsageError, ModelError, MissingDependencyError: see `load_tagger`.
    """
    if model.is_onnx:
        return Tagger(OnnxRuntime(model, device, threads))
    return Tagger(_torch_runtime(model, device, threads))


def _torch_runtime(model: ModelFile, device: str, threads: int) -> Runtime:
    try:
        from diffres_cli.model.backend import TorchRuntime
    except ImportError as error:
        raise MissingDependencyError(
            f"running {model.path.name} needs PyTorch: pip install 'diffres[train]', or use an .onnx model"
        ) from error
    return TorchRuntime(model, device, threads)


def _outputs(settings: Settings, spectrogram: bool, framewise: bool) -> Sequence[str]:
    framewise = framewise or settings.events
    return (
        "probabilities",
        *(("framewise",) if framewise else ()),
        *(("importance",) if framewise or spectrogram or settings.importance else ()),
        *(("mel", "merged") if spectrogram else ()),
        *(("embedding",) if settings.embeddings else ()),
    )


def _batches(cut: Iterable[tuple[int, Floats]], size: int) -> Iterator[list[tuple[int, Floats]]]:
    batch: list[tuple[int, Floats]] = []
    for first, samples in cut:
        if batch and (len(batch) == size or len(batch[0][1]) != len(samples)):
            yield batch
            batch = []
        batch.append((first, samples))
    if batch:
        yield batch


def _given(value: _T | None) -> _T:
    assert value is not None, "resolved settings have no blanks"
    return value
