"""Many recordings -> one result each, in their order: here, or shared out among processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.errors import AudioError, DependencyError, DiffresError
from diffres_cli.imports import required
from diffres_cli.processes import Worker, kill, start, stop
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.text import printable

if TYPE_CHECKING:
    from diffres_cli.tagging.tagger import Tagger

Result = Prediction | DiffresError
_Tag = Callable[["Tagger", str | Path], Prediction]


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
    tag: _Tag,
    paths: Iterable[str | Path],
) -> Iterator[Result]:
    """The same in `count` processes, each with one path at a time.

    Results are taken from the processes in turn, which keeps them in order and memory bounded. A process that
    dies costs the recording it was tagging; another takes its place.

    Args:
        load: makes the tagger of a process.
    """
    remaining = iter(paths)
    idle, busy = list[Worker](), deque[tuple[Worker, str | Path]]()
    try:
        while True:
            for path in islice(remaining, count - len(busy)):
                worker = idle.pop() if idle else Worker(*start(_serve, load, tag))
                busy.append((worker, path))
                with suppress(OSError):  # it died idle: receiving finds out
                    worker.pipe.send(path)
            if not busy:
                return
            result = _receive(*busy[0])
            worker, _ = busy.popleft()
            if not worker.pipe.closed:
                idle.append(worker)
            if isinstance(result, _Failure):
                raise result.error
            yield result
    finally:
        stop([*idle, *(worker for worker, _ in busy)])


@dataclass(frozen=True)
class _Failure:
    """What keeps a process from tagging anything."""

    error: DiffresError


def _receive(worker: Worker, path: str | Path) -> Result | _Failure:
    try:
        result: Result | _Failure = worker.pipe.recv()
        return result
    except (EOFError, OSError):
        kill(worker)
        return AudioError(f"{printable(str(path))}: the process tagging it died ({worker.death})")


def _serve(pipe: Connection, load: Callable[[], Tagger], tag: _Tag) -> None:
    """Tag each path that comes through the pipe, until it closes."""
    try:
        with required():
            tagger = load()
        while True:
            (result,) = tag_each(partial(tag, tagger), [pipe.recv()])
            pipe.send(result)
    except DiffresError as error:
        pipe.send(_Failure(error))
    except (EOFError, BrokenPipeError):
        pass
