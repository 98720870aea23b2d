"""The tests: subjects -> evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import ModelFile, read_model
from diffres_cli.datasets.clip import Clip, Dataset
from diffres_cli.datasets.waveforms.cache import WaveformCache, build_cache
from diffres_cli.errors import DataError
from diffres_cli.evaluation.labelmap import match, read_map
from diffres_cli.evaluation.metrics import class_scores, confusions, metrics
from diffres_cli.evaluation.result import AtRate, Evaluation
from diffres_cli.evaluation.runfolder import sha256
from diffres_cli.evaluation.scoring import score
from diffres_cli.evaluation.subjects import Request, Subject
from diffres_cli.inference.runtime import OnnxRuntime, Runtime
from diffres_cli.nn.backend import TorchRuntime
from diffres_cli.nn.export import checked_onnx
from diffres_cli.nn.weights import load_network

Progress = Callable[[str, int, int], None]

RATES = (25.0, 50.0, 75.0, 100.0)
"""The paper's; those a model does not serve are left out unless they are asked for."""

_SHOWN = 3


def evaluate_all(
    request: Request, tested: Sequence[Subject], on_progress: Progress | None = None
) -> Iterator[Evaluation]:
    """Test subjects, as `subjects` lists them; see `evaluate`. A model is loaded once for all its folds."""
    for file, group in groupby(tested, key=lambda subject: subject.file):
        runtime = load_runtime(file, request.backend, request.device)
        for subject in group:
            yield evaluate(subject, request, runtime, on_progress)


def evaluate(
    subject: Subject, request: Request, runtime: Runtime, on_progress: Progress | None = None
) -> Evaluation:
    """Test a subject at each rate.

    Args:
        on_progress: told what is going on, how many clips are done, and of how many.

    Raises:
        UsageError: labels that do not fit, a rate out of range. DataError: too many clips are missing.
        ModelError: the model cannot be read or run.
    """
    card, dataset = runtime.card.renamed(subject.name), subject.dataset
    labels = read_map(request.map, card, dataset) if request.map else match(card, dataset)
    rates = chosen_rates(card, request.fps)
    clips = spread(dataset.clips_of(*subject.splits), request.limit)
    waveforms = build_cache(
        clips, card.sample_rate, None, on_progress=_Done(f"decoding for {subject.title}", 0, on_progress).tell
    )
    heard = _heard(subject, waveforms)
    targets = multi_hot([clips[clip] for clip in heard], len(dataset.classes))
    done = _Done(subject.title, len(heard), on_progress)
    scores = score(runtime, waveforms, heard, rates, request.batch_size, done)
    return Evaluation(
        model=card.name,
        sha256=sha256(subject.file),
        backend=runtime.backend,
        device=runtime.device,
        batch_size=request.batch_size,
        dataset=dataset.name,
        licence=dataset.licence,
        citation=dataset.citation,
        multi_label=dataset.multi_label,
        splits=subject.splits,
        fold=subject.fold,
        clips=len(heard),
        duration=float(waveforms.lengths[heard].mean()) / card.sample_rate,
        classes=dataset.classes,
        rates=tuple(
            _measured(fps, labels.apply(each.probabilities), each.seconds, targets, dataset)
            for fps, each in zip(rates, scores, strict=True)
        ),
        missing=dataset.missing_of(*subject.splits),
        undecodable=waveforms.failures,
        limited=request.limit is not None,
        map=str(request.map or ""),
    )


def chosen_rates(card: ModelCard, asked: Sequence[float]) -> tuple[float, ...]:
    """The frame rates to test, ascending: those asked for, else those of the paper that the model serves.

    Raises:
        UsageError: the model does not serve one that was asked for.
    """
    if asked:
        return tuple(sorted({card.check_fps(fps) for fps in asked}))
    return tuple(fps for fps in RATES if card.minimum_fps <= fps <= card.maximum_fps) or (card.default_fps,)


def spread(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """At most `limit` clips, evenly spread: lists are often sorted by class.

    >>> spread("abcdef", 3), spread("ab", 3), spread("ab", None)
    (['a', 'c', 'e'], ['a', 'b'], ['a', 'b'])
    """
    count = len(clips) if limit is None else min(limit, len(clips))
    return [clips[i * len(clips) // count] for i in range(count)]


def multi_hot(clips: Sequence[Clip], classes: int) -> torch.Tensor:
    """The clips' labels as targets: [N, classes], 0 or 1."""
    targets = torch.zeros(len(clips), classes)
    for row, clip in zip(targets, clips, strict=True):
        row[list(clip.labels)] = 1.0
    return targets


def load_runtime(path: Path, backend: str | None, device: str) -> Runtime:
    """A model file, run by torch or by ONNX Runtime; torch weights are exported in memory for the latter.

    On all cores: one process scores a whole dataset, and no metric depends on the last digit of a score.

    Raises:
        ModelError: it cannot be read or run. UsageError: `backend` or `device` cannot run it.
    """
    if path.suffix == ".onnx":
        return OnnxRuntime(read_model(path), device, threads=0)
    if backend == "onnx":
        graph, _ = checked_onnx(load_network(path))
        return OnnxRuntime(ModelFile(path, graph), device, threads=0)
    return TorchRuntime(read_model(path), device, threads=0)


def _heard(subject: Subject, waveforms: WaveformCache) -> list[int]:
    """The clips that could be decoded.

    Raises:
        DataError: too many could not, or are not there.
    """
    dataset, most = subject.dataset, subject.max_missing
    heard: list[int] = np.flatnonzero(waveforms.lengths > 0).tolist()
    missing = dataset.missing_of(*subject.splits)
    listed, clips = len(dataset.clips_of(*subject.splits)) + len(missing), len(waveforms.lengths)
    silent = [name for name, length in zip(waveforms.names, waveforms.lengths, strict=True) if not length]
    reasons = [f"{name} ({waveforms.failures.get(name, 'empty')})" for name in silent]
    for kind, names, total in (("missing", missing, listed), ("undecodable", reasons, clips)):
        if len(names) > most * total or (kind == "undecodable" and not heard):
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            raise DataError(
                f"{dataset.name} in {dataset.root}: {len(names)} of {total} clips are {kind} "
                f"({len(names) / total:.1%}, allowed {most:.1%}): {shown}: "
                f"`{subject.check}` lists them; complete the dataset or allow more missing clips"
            )
    return heard


def _measured(fps: float, scores: Floats, seconds: float, targets: torch.Tensor, dataset: Dataset) -> AtRate:
    probabilities = torch.from_numpy(scores)
    measure = metrics(len(dataset.classes), dataset.multi_label)
    found = measure(probabilities, targets)
    return AtRate(
        fps,
        {name: float(value) for name, value in found.items()},
        seconds,
        tuple(class_scores(probabilities, targets, dataset.multi_label)),
        None if dataset.multi_label else confusions(probabilities, targets).tolist(),
    )


class _Done:
    """Counts clips."""

    def __init__(self, title: str, total: int, on_progress: Progress | None) -> None:
        self._title, self._done, self._total, self._on_progress = title, 0, total, on_progress

    def tell(self, done: int, total: int) -> None:
        """So many are done."""
        if self._on_progress:
            self._on_progress(self._title, done, total)

    def __call__(self, clips: int) -> None:
        """So many more are done."""
        self._done += clips
        self.tell(self._done, self._total)
