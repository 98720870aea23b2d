"""A loaded model and what it does: tag one recording, many of them, or a stream as it comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, overload

from numpy.typing import NDArray

from diffres_cli.audio import Channel, Recording, Source, open_blocks, open_recording
from diffres_cli.audio.arrays import check_rate
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import DEFAULT_MODEL, ModelFile, find_model, read_model
from diffres_cli.checkpoint.parents import Ancestors, find_ancestors
from diffres_cli.errors import AudioError, DiffresError, SettingError
from diffres_cli.imports import required
from diffres_cli.inference.runtime import OnnxRuntime, Runtime
from diffres_cli.tagging.assemble import PredictionBuilder
from diffres_cli.tagging.prediction import Prediction, WindowPrediction
from diffres_cli.tagging.settings import Settings, check_bool, check_iterable, check_number, check_type
from diffres_cli.tagging.windows import outputs_for, tag_windows
from diffres_cli.text import printable

__all__ = ["BACKENDS", "Settings", "Tagger", "load_tagger"]

BACKENDS = ("onnx", "torch")


class Tagger:
    """A loaded model, ready to tag. Make one with `load_tagger`."""

    def __init__(self, runtime: Runtime, ancestors: Ancestors, load: Callable[[], Tagger]) -> None:
        """`ancestors`: see `find_ancestors`. `load` makes another one like it, in a process of its own."""
        self._runtime, self.ancestors, self._load = runtime, ancestors, load

    def __repr__(self) -> str:
        return f"<Tagger {self.card.name}: {self.backend} on {self.device}, {len(self.card.classes)} labels>"

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

    # fmt: off
    @overload
    def tag(
        self, source: Source, sample_rate: int | None = None, *, channel: Literal["each"],
        fps: float | None = None, top_k: int = 5, min_confidence: float = 0.1, window: float | None = None,
        overlap: float = 0.0, start: float = 0.0, duration: float | None = None,
        labels: Sequence[str] | None = None, events: bool = False, merge_gap: float = 0.5,
        min_duration: float = 0.0, importance: bool = False, embeddings: bool = False,
        ranking: str = "specific", spectrogram: bool = True, framewise: bool = False,
    ) -> list[Prediction]: ...

    @overload
    def tag(
        self, source: Source, sample_rate: int | None = None, *, fps: float | None = None,
        top_k: int = 5, min_confidence: float = 0.1, window: float | None = None, overlap: float = 0.0,
        start: float = 0.0, duration: float | None = None, labels: Sequence[str] | None = None,
        events: bool = False, merge_gap: float = 0.5, min_duration: float = 0.0, ranking: str = "specific",
        importance: bool = False, embeddings: bool = False, channel: int | Literal["mix"] = "mix",
        spectrogram: bool = True, framewise: bool = False,
    ) -> Prediction: ...

    def tag(
        self, source: Source, sample_rate: int | None = None, *, fps: float | None = None,
        top_k: int = 5, min_confidence: float = 0.1, window: float | None = None, overlap: float = 0.0,
        start: float = 0.0, duration: float | None = None, labels: Sequence[str] | None = None,
        events: bool = False, merge_gap: float = 0.5, min_duration: float = 0.0, ranking: str = "specific",
        importance: bool = False, embeddings: bool = False, channel: Channel = "mix",
        spectrogram: bool = True, framewise: bool = False,
    ) -> Prediction | list[Prediction]:
        """Tag one recording.

        Args:
            source: a path, a file's bytes, a binary stream, or an array [N] or [N, channels].
            sample_rate: Hz, for an array.
            fps: output frames per second; None: the model's default.
            top_k, min_confidence: at most so many labels, each scoring at least this, 0 to 1.
            window, overlap: seconds classified at once, None: the model's; and shared by neighbours.
            start, duration: the part to tag, in seconds; None: to the end.
            labels: only these, by name or id; None: all the model knows.
            events: find each label's starts and ends. Events of a label closer than `merge_gap` seconds
                become one; then those shorter than `min_duration` seconds are dropped.
            importance, embeddings: keep each window's importance curve, and its pooled feature.
            channel: "mix" for the mean of all channels, the number of one, from 1, or "each".
            ranking: "specific": Dog before Animal, see `put_specific_first`; or "scores".
            spectrogram: keep importance, warp and spectrograms. framewise: keep class scores along time.

        Returns:
            One prediction; for the channel "each" a list with one for each channel.

        Raises:
            AudioError: the recording cannot be read. UsageError: a setting out of range.

        >>> import numpy as np
        >>> tagger = load_tagger("audioset-small")
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
        >>> prediction = tagger.tag(noise, sample_rate=32000, fps=25)
        >>> prediction.labels[0].label, prediction.importance.shape, prediction.edges[0].shape
        ('Static', (100,), (26,))
        """
        settings = Settings(
            fps, top_k, min_confidence, window, overlap, start, duration, labels, events, merge_gap,
            min_duration, importance, embeddings, channel, ranking,
        ).resolve(self.card)
        with open_recording(source, sample_rate) as recording:
            found = self.tag_channels(recording, settings, spectrogram=spectrogram, framewise=framewise)
        return found if channel == "each" else found[0]

    def tag_many(
        self, paths: Iterable[str | Path], jobs: int | None = None, *, fps: float | None = None,
        top_k: int = 5, min_confidence: float = 0.1, window: float | None = None, overlap: float = 0.0,
        start: float = 0.0, duration: float | None = None, labels: Sequence[str] | None = None,
        events: bool = False, merge_gap: float = 0.5, min_duration: float = 0.0, ranking: str = "specific",
        importance: bool = False, embeddings: bool = False, channel: int | Literal["mix"] = "mix",
        spectrogram: bool = False, framewise: bool = False,
    ) -> Iterator[Prediction | DiffresError]:
        """Tag many recordings, one result for each path, in the order of the paths.

        The result of a recording that cannot be tagged is its error, as an object: it ends nothing. The
        paths are taken as results are asked for, so that both may be endless.

        Args:
            jobs: how many processes; None: this one alone. A script that asks for more starts its work
                below `if __name__ == "__main__":`, as multiprocessing requires.
            The others are those of `tag`.

        Raises:
            UsageError: a setting out of range; at once, before the first result.
            DependencyError: a package that decodes audio is missing.

        >>> tagger = load_tagger("audioset-small")
        >>> [type(result).__name__ for result in tagger.tag_many(["examples/rain.ogg", "missing.wav"])]
        ['Prediction', 'AudioError']
        """
        from diffres_cli.tagging.many import tag_each, tag_in_processes, tag_recording  # slow to load

        paths = check_iterable("paths", paths, "expected a list of paths; for one recording call tag")
        if jobs is not None:
            check_number("jobs", jobs, 1, math.inf, "at least 1", Integral)
        settings = Settings(
            fps, top_k, min_confidence, window, overlap, start, duration, labels, events, merge_gap,
            min_duration, importance, embeddings, self._check_one(channel), ranking,
        ).resolve(self.card)
        outputs_for(settings, spectrogram, framewise)  # refuses a wrong value now, not with the first result
        tag = partial(tag_recording, settings=settings, spectrogram=spectrogram, framewise=framewise)
        if jobs is None or jobs == 1:
            return tag_each(partial(tag, self), paths)
        return tag_in_processes(jobs, self._load, tag, paths)

    def stream(
        self, blocks: Iterable[NDArray[Any]], sample_rate: int, *,
        fps: float | None = None, top_k: int = 5, min_confidence: float = 0.1, window: float | None = None,
        overlap: float = 0.0, labels: Sequence[str] | None = None, importance: bool = False,
        embeddings: bool = False, channel: int | Literal["mix"] = "mix", ranking: str = "specific",
        spectrogram: bool = False, framewise: bool = False,
    ) -> Iterator[WindowPrediction]:
        """Tag audio as it comes, window by window, in constant memory.

        A window is tagged as soon as the shortest window the model takes has followed it; the last one when
        the blocks end, with the samples before that make it whole.

        Args:
            blocks: arrays [n] or [n, channels] of any length, as from a microphone. sample_rate: Hz.
            The others are those of `tag`.

        Raises:
            UsageError: a setting out of range; at once, before the first block is taken.
            AudioError: a block is no array of samples, or there is not one sample.

        >>> import numpy as np
        >>> tagger = load_tagger("audioset-small")
        >>> noise = np.random.default_rng(0).normal(0, 0.1, (30, 1000, 2))  # 30 blocks of 1/16 s, in stereo
        >>> [(each.start, each.end) for each in tagger.stream(noise, 16000, window=1.0)]
        [(0.0, 1.0), (0.875, 1.875)]
        """
        settings = Settings(
            fps, top_k, min_confidence, window, overlap, labels=labels, importance=importance,
            embeddings=embeddings, channel=self._check_one(channel), ranking=ranking,
        ).resolve(self.card)
        blocks = check_iterable("blocks", blocks, "expected arrays in turn; for a single one call tag")
        outputs, rate = outputs_for(settings, spectrogram, framewise), check_rate(sample_rate, "stream")
        ranker = settings.ranker(self.card, self.ancestors)

        def predictions() -> Iterator[WindowPrediction]:
            with open_blocks(blocks, rate) as recording:
                for _, prediction in tag_windows(self._runtime, recording, settings, ranker, outputs, 1):
                    yield prediction

        return predictions()

    def tag_channels(
        self, recording: Recording, settings: Settings, *, spectrogram: bool = False, framewise: bool = False,
        on_window: Callable[[float], None] | None = None,
    ) -> list[Prediction]:
        """Tag an open recording: one prediction, or with `settings.channel` "each" one for each channel.

        Args:
            on_window: called with the end of each window, in seconds, once it is tagged.

        Raises:
            AudioError: it cannot be decoded. UsageError: a setting out of range.
        """
        settings = settings.resolve(self.card)
        channels: dict[int | None, PredictionBuilder] = {}
        outputs = outputs_for(settings, spectrogram, framewise)
        ranker = settings.ranker(self.card, self.ancestors)
        for channel, window in tag_windows(self._runtime, recording, settings, ranker, outputs):
            builder = channels.setdefault(channel, PredictionBuilder(ranker, settings, framewise))
            builder.add_window(window)
            if on_window:
                on_window(window.end)
        if not channels:  # only because of `start`: a recording without samples was refused before
            ends, start = f"{recording.duration:.2f} s", f"{settings.start:g} s"
            raise AudioError(f"{printable(recording.name)}: it ends at {ends}, start is {start}")
        return [builder.make_prediction(recording, channel) for channel, builder in channels.items()]

    # fmt: on

    @staticmethod
    def _check_one(channel: Channel) -> Channel:
        if channel == "each":
            raise SettingError("channel", channel, "only `tag` takes it; choose mix or a number")
        return channel


def load_tagger(
    model: str | Path = DEFAULT_MODEL,
    *,
    backend: str = "onnx",
    device: str = "auto",
    threads: int = 1,
    offline: bool = False,
    fps: float | None = None,
) -> Tagger:
    """Load a model by shipped name, checkpoint folder, .onnx or .safetensors file, or hf:ORG/NAME[@REV].

    Args:
        backend: "onnx", or "torch" where the extra `train` is installed; a .safetensors file implies it.
        device: "auto", "cpu" or "cuda".
        threads: on a CPU; 0 for one per core. Another number adds in another order, which changes the last
            digits of a score; more than one saves about a tenth of the time.
        offline: never use the network; without it, only a hub model that is not installed does.
        fps: the first rate to load it for, None for its default; for others it is loaded when they come.

    Raises:
        UsageError: no such model, backend, device or rate. ModelError: a damaged or foreign file.
        DependencyError: torch is asked for and not installed, or does not load.
    """
    if backend not in BACKENDS:
        raise SettingError("backend", backend, f"choose {' or '.join(BACKENDS)}")
    check_number("threads", threads, 0, 1024, "0 (one per core) to 1024", Integral)
    check_bool("offline", offline)
    if fps is not None:
        check_type("fps", fps, "such as 25")
    file = find_model(model, weights=backend == "torch", offline=offline)
    return tagger_of(read_model(file), device, threads, fps)


def tagger_of(model: ModelFile, device: str = "auto", threads: int = 1, fps: float | None = None) -> Tagger:
    """The same for a model file that has been read.

    Raises:
        UsageError, ModelError, DependencyError: see `load_tagger`.
    """
    if model.is_onnx:
        runtime: Runtime = OnnxRuntime(model, device, threads, fps)
    else:
        runtime = _torch_runtime(model, device, threads)
    load = partial(
        load_tagger, model.path, backend=runtime.backend, device=device, threads=threads, offline=True
    )
    return Tagger(runtime, find_ancestors(model, runtime.card), load)


def _torch_runtime(model: ModelFile, device: str, threads: int) -> Runtime:
    with required(f"running {model.path.name} on torch", "diffres[train]"):
        from diffres_cli.nn.backend import TorchRuntime

        return TorchRuntime(model, device, threads)  # imports the model's front end, too
