"""Recordings -> windows -> predictions: the whole job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from diffres_cli.arrays import Floats
from diffres_cli.audio import Channel, Recording, Source, excerpt, open_recording, windows
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import DEFAULT_MODEL, ModelFile, find_model, read_model
from diffres_cli.errors import AudioError, UsageError
from diffres_cli.imports import required
from diffres_cli.inference.runtime import OnnxRuntime, Runtime
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.tagging.assemble import Assembler, Windows, given
from diffres_cli.tagging.prediction import Prediction, WindowPrediction
from diffres_cli.tagging.settings import Settings
from diffres_cli.text import printable
from diffres_cli.watch import progress

__all__ = ["BACKENDS", "Settings", "Tagger", "load_tagger"]

BACKENDS = ("onnx", "torch")
_BATCH = {"cpu": 1, "cuda": 16}  # a CPU gains nothing from batches, and memory stays flat


class _Piece(NamedTuple):
    """A window to tag: of which channel, the index of its first sample, and its samples, [n]."""

    channel: int | None
    first: int
    samples: Floats


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

    @overload
    def tag(
        self, source: Source, sample_rate: int | None = None, *, channel: Literal["each"], **how: Any
    ) -> list[Prediction]: ...

    @overload
    def tag(
        self, source: Source, sample_rate: int | None = None, *, channel: Channel = "mix", **how: Any
    ) -> Prediction: ...

    def tag(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        channel: Channel = "mix",
        spectrogram: bool = True,
        framewise: bool = False,
        **settings: Any,
    ) -> Prediction | list[Prediction]:
        """Tag one recording.

        Args:
            source: a path, a file's bytes, a binary stream, or an array [N] or [N, channels].
            sample_rate: Hz, for an array. spectrogram: keep importance, warp and spectrograms.
            channel: "mix" for the mean of all, the number of one, from 1, or "each".
            framewise: keep class scores along time. settings: the other fields of `Settings`.

        Returns:
            One prediction; for "each" a list of one for each channel.

        Raises:
            AudioError: the recording cannot be read. UsageError: a setting out of range.

        >>> tagger = load_tagger("audioset-small")
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        >>> prediction = tagger.tag(noise, sample_rate=32000, fps=25)
        >>> prediction.labels[0].label, prediction.importance.shape, prediction.edges[0].shape
        ('Static', (100,), (26,))
        """
        chosen = Settings(**settings, channel=channel)
        with open_recording(source, sample_rate) as recording:
            found = self.tag_channels(recording, chosen, spectrogram=spectrogram, framewise=framewise)
        return found if channel == "each" else found[0]

    def tag_recording(self, recording: Recording, settings: Settings, **how: Any) -> Prediction:
        """Tag an open recording: its labels are its windows' best scores.

        Args:
            settings: of one channel, or the mix. how: as `tag_channels` takes it.

        Raises:
            AudioError: it cannot be decoded. UsageError: a setting out of range.
        """
        _refuse_each(settings)
        (prediction,) = self.tag_channels(recording, settings, **how)
        return prediction

    def tag_channels(
        self,
        recording: Recording,
        settings: Settings,
        *,
        spectrogram: bool = False,
        framewise: bool = False,
        on_window: Callable[[float], None] | None = None,
    ) -> list[Prediction]:
        """Tag an open recording: one prediction, or with `settings.channel` "each" one for each channel.

        Args:
            on_window: told the end of each window, in seconds, once it is tagged.

        Raises:
            AudioError: it cannot be decoded. UsageError: a setting out of range.
        """
        chosen = settings.resolve(self.card)
        assembler = Assembler(self.card, chosen)
        channels: dict[int | None, Windows] = {}
        for channel, window in self._windows(recording, chosen, _outputs(chosen, spectrogram, framewise)):
            assembler.add(channels.setdefault(channel, Windows()), window, framewise)
            if on_window:
                on_window(window.end)
        if not channels:  # only by `start`: a recording without samples was refused before
            raise AudioError(
                f"{printable(recording.name)}: it ends at {recording.duration:.2f} s, "
                f"--start is {chosen.start:g} s"
            )
        return [assembler.prediction(recording, windows, channel) for channel, windows in channels.items()]

    def windows(
        self, recording: Recording, settings: Settings, *, spectrogram: bool = False, framewise: bool = False
    ) -> Iterator[WindowPrediction]:
        """Tag an open recording window by window, as a stream, in constant memory.

        Only windows of equal length share a batch, so no score depends on its neighbours.

        Raises:
            AudioError: it cannot be decoded. UsageError: a setting out of range, or the channel "each".
        """
        _refuse_each(settings)
        chosen = settings.resolve(self.card)
        for _, window in self._windows(recording, chosen, _outputs(chosen, spectrogram, framewise)):
            yield window

    def _windows(
        self, recording: Recording, settings: Settings, outputs: Sequence[str]
    ) -> Iterator[tuple[int | None, WindowPrediction]]:
        """Windows with their channels, which is None for the mix."""
        assembler, mel = Assembler(self.card, settings), self.card.mel
        for batch in _batches(self._cut(recording, settings), _BATCH[self.device]):
            waveform = np.stack([piece.samples for piece in batch])
            output_frames = output_frames_at(
                given(settings.fps), mel.frames(waveform.shape[1]), mel.frame_rate
            )
            found = self._runtime.run(waveform, output_frames, outputs)
            progress()
            for row, piece in enumerate(batch):
                values = {name: value[row] for name, value in found.items()}
                yield piece.channel, assembler.window(values, output_frames, piece.first, len(piece.samples))

    def _cut(self, recording: Recording, settings: Settings) -> Iterator[_Piece]:
        rate = self.card.sample_rate
        size = round(given(settings.window) * rate)
        hop = size - round(settings.overlap * rate)
        first = round(settings.start * rate)
        count = None if settings.duration is None else round(settings.duration * rate)
        part = excerpt(recording.blocks(rate, settings.channel), first, count)
        for offset, samples in windows(part, size, hop, self.card.mel.minimum_samples):
            if settings.channel == "each":
                for channel, own in enumerate(samples.T, start=1):
                    yield _Piece(channel, first + offset, own)
            else:
                number = None if settings.channel == "mix" else settings.channel
                yield _Piece(number, first + offset, samples)


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
        DependencyError: torch is asked for and not installed, or does not load.
    """
    if backend not in BACKENDS:
        raise UsageError(f"--backend {backend}: choose {' or '.join(BACKENDS)}")
    file = find_model(model, weights=backend == "torch", offline=offline)
    return tagger_of(read_model(file), device, threads)


def tagger_of(model: ModelFile, device: str = "auto", threads: int = 1) -> Tagger:
    """The same for a model file that has been read.

    Raises:
        UsageError, ModelError, DependencyError: see `load_tagger`.
    """
    if model.is_onnx:
        return Tagger(OnnxRuntime(model, device, threads))
    return Tagger(_torch_runtime(model, device, threads))


def _torch_runtime(model: ModelFile, device: str, threads: int) -> Runtime:
    with required(f"running {model.path.name} on torch", "diffres[train]"):
        from diffres_cli.nn.backend import TorchRuntime
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


def _batches(cut: Iterable[_Piece], size: int) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    for piece in cut:
        if batch and (len(batch) == size or len(batch[0].samples) != len(piece.samples)):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _refuse_each(settings: Settings) -> None:
    if settings.channel == "each":
        raise UsageError("--channel each gives a prediction for each channel: call tag_channels")
