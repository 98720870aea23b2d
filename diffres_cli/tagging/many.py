"""Many recordings -> one result each, in their order: here, or shared out among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError, DependencyError, DiffresError, ModelError
from diffres_cli.imports import required
from diffres_cli.pool import Died, Report, WorkerPool
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.settings import Settings
from diffres_cli.text import printable

if TYPE_CHECKING:
    from diffres_cli.tagging.tagger import Tagger

T = TypeVar("T")
R = TypeVar("R")
Result = Prediction | DiffresError


def tagging_pool(
    count: int,
    load: Callable[[], Tagger],
    tag: Callable[[Tagger, T], R],
    is_stuck: Callable[[R], bool] = lambda result: False,
) -> WorkerPool[T, R]:
    """Worker processes with a tagger each.

    Args:
        load: makes the tagger of a process. tag: what each task is done with; both are pickled.
        is_stuck: whether a worker is to be replaced after this result.
    """
    return WorkerPool(count, _prepare, (load, tag), is_stuck=is_stuck)


def tag_recording(
    tagger: Tagger, path: str | Path, settings: Settings, spectrogram: bool, framewise: bool
) -> Prediction:
    """The prediction of one path; see `Tagger.tag_channels`."""
    with open_recording(path) as recording:
        return tagger.tag_channels(recording, settings, spectrogram=spectrogram, framewise=framewise)[0]


def tag_each(tag: Callable[[str | Path], Prediction], paths: Iterable[str | Path]) -> Iterator[Result]:
    """The prediction or the error of each path.

    Raises:
        DependencyError: a package is missing, which concerns all of them.
    """
    for path in paths:
        try:
            yield tag(path)
        except DependencyError:
            raise
        except DiffresError as error:
            yield error
        except Exception as error:  # whatever a decoder raises
            yield AudioError(f"{printable(str(path))}: unexpected {type(error).__name__}: {error}")


def tag_in_processes(
    count: int,
    load: Callable[[], Tagger],
    tag: Callable[[Tagger, str | Path], Prediction],
    paths: Iterable[str | Path],
) -> Iterator[Result]:
    """The same in `count` processes. One that dies is replaced, and its recording tried once more.

    Raises:
        DiffresError: the model does not load, or processes die whatever they are given.
    """
    with tagging_pool(count, load, partial(_tag_path, tag)) as pool:
        for (_, path), result in pool.run_in_order(enumerate(paths)):
            if isinstance(result, Died):
                yield AudioError(worker_died(path, result))
            else:
                yield result[0]


def worker_died(path: str | Path, died: Died) -> str:
    """What to say of a recording whose workers died."""
    return f"{printable(str(path))}: the worker tagging it died twice ({died.reason})"


def _tag_path(
    tag: Callable[[Tagger, str | Path], Prediction], tagger: Tagger, task: tuple[int, str | Path]
) -> tuple[Result]:
    """In a tuple: an error by itself would end the pool."""
    return (next(tag_each(partial(tag, tagger), [task[1]])),)


def _prepare(load: Callable[[], Tagger], tag: Callable[[Tagger, T], R]) -> Callable[[T, Report], R]:
    with required():
        tagger = _with_memory(load)
    return lambda task, _: _with_memory(partial(tag, tagger, task))


def _with_memory(work: Callable[[], R]) -> R:
    try:
        return work()
    except MemoryError as error:
        raise ModelError("a worker ran out of memory: try fewer jobs, or a shorter window") from error
