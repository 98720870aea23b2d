"""Tasks -> evaluations: each model scored on its clips at each frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from diffres_cli.evaluation.labelmap import match_labels, read_map
from diffres_cli.evaluation.metrics import TaggingMetrics, class_scores, confusion_matrix
from diffres_cli.evaluation.result import Evaluation, RateResult
from diffres_cli.evaluation.runfolder import sha256
from diffres_cli.evaluation.scoring import score_clips
from diffres_cli.evaluation.tasks import EvalRequest, EvalTask
from diffres_cli.inference.runtime import OnnxRuntime, Runtime
from diffres_cli.nn.backend import TorchRuntime
from diffres_cli.nn.export import checked_onnx
from diffres_cli.nn.weights import load_network
from diffres_cli.text import first_few

Progress = Callable[[str, int, int], None]

RATES = (25.0, 50.0, 75.0, 100.0)
"""The paper's; those that a model does not support are left out unless requested."""


def evaluate_all(
    request: EvalRequest, tasks: Sequence[EvalTask], on_progress: Progress = lambda title, done, total: None
) -> Iterator[Evaluation]:
    """Carry out the tasks of `eval_tasks`; see `evaluate`. A model is loaded once for all its folds."""
    for file, group in groupby(tasks, key=lambda task: task.file):
        runtime = load_runtime(file, request.backend, request.device)
        for task in group:
            yield evaluate(task, request, runtime, on_progress)


def evaluate(task: EvalTask, request: EvalRequest, runtime: Runtime, on_progress: Progress) -> Evaluation:
    """Evaluate a model at each rate.

    Args:
        on_progress: called with the current step, the clips done and their total.

    Raises:
        UsageError: labels that do not fit, a rate out of range. DataError: too many clips are missing.
        ModelError: the model cannot be read or run.
    """
    card, dataset = runtime.card.renamed(task.name), task.dataset
    labels = read_map(request.map, card, dataset) if request.map else match_labels(card, dataset)
    rates = select_rates(card, request.fps)
    clips = evenly_spaced(dataset.clips_of(*task.splits), request.limit)
    decoding = partial(on_progress, f"decoding for {task.title}")
    waveforms = build_cache(clips, card.sample_rate, None, on_progress=decoding)
    decoded = _decoded(task, waveforms)
    targets = multi_hot([clips[clip] for clip in decoded], len(dataset.classes))
    scoring = partial(on_progress, task.title)
    scores = score_clips(runtime, waveforms, decoded, rates, request.batch_size, scoring)
    return Evaluation(
        model=card.name,
        sha256=sha256(task.file),
        backend=runtime.backend,
        device=runtime.device,
        batch_size=request.batch_size,
        dataset=dataset.name,
        licence=dataset.licence,
        citation=dataset.citation,
        multi_label=dataset.multi_label,
        splits=task.splits,
        fold=task.fold,
        clips=len(decoded),
        duration=float(waveforms.lengths[decoded].mean()) / card.sample_rate,
        classes=dataset.classes,
        rates=tuple(
            _rate_result(fps, labels.apply(each.probabilities), each.seconds, targets, dataset)
            for fps, each in zip(rates, scores, strict=True)
        ),
        missing=dataset.missing_of(*task.splits),
        undecodable=waveforms.failures,
        limited=request.limit is not None,
        map=str(request.map or ""),
    )


def select_rates(card: ModelCard, asked: Sequence[float]) -> tuple[float, ...]:
    """The frame rates to test, ascending: those asked for, else those of the paper that the model serves.

    Raises:
        UsageError: the model does not serve one that was asked for.
    """
    if asked:
        return tuple(sorted({card.check_fps(fps) for fps in asked}))
    return tuple(fps for fps in RATES if card.minimum_fps <= fps <= card.maximum_fps) or (card.default_fps,)


def evenly_spaced(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """At most `limit` clips, evenly spaced: lists are often sorted by class.

    >>> evenly_spaced("abcdef", 3), evenly_spaced("ab", 3), evenly_spaced("ab", None)
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


def _decoded(task: EvalTask, waveforms: WaveformCache) -> list[int]:
    """The clips that could be decoded.

    Raises:
        DataError: too many could not, or are not there.
    """
    dataset, most = task.dataset, task.max_missing
    decoded: list[int] = np.flatnonzero(waveforms.lengths > 0).tolist()
    missing = dataset.missing_of(*task.splits)
    listed, clips = len(dataset.clips_of(*task.splits)) + len(missing), len(waveforms.lengths)
    undecoded = [name for name, length in zip(waveforms.names, waveforms.lengths, strict=True) if not length]
    reasons = [f"{name} ({waveforms.failures.get(name, 'empty')})" for name in undecoded]
    for kind, names, total in (("missing", missing, listed), ("undecodable", reasons, clips)):
        if len(names) > most * total or (kind == "undecodable" and not decoded):
            raise DataError(
                f"{dataset.name} in {dataset.root}: {len(names)} of {total} clips are {kind} "
                f"({len(names) / total:.1%}, allowed {most:.1%}): {first_few(names)}: "
                f"`{dataset.check_command(task.root)}` lists them; complete the dataset or allow "
                "more missing clips"
            )
    return decoded


def _rate_result(
    fps: float, scores: Floats, seconds: float, targets: torch.Tensor, dataset: Dataset
) -> RateResult:
    probabilities = torch.from_numpy(scores)
    found = TaggingMetrics(dataset.multi_label)(probabilities, targets)
    return RateResult(
        fps,
        {name: float(value) for name, value in found.items()},
        seconds,
        tuple(class_scores(probabilities, targets, dataset.multi_label)),
        None if dataset.multi_label else confusion_matrix(probabilities, targets).tolist(),
    )
