"""Many recordings -> one result each, in their order: here, or shared out among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.errors import AudioError, DependencyError, DiffresError
from diffres_cli.imports import required
from diffres_cli.pool import Died, Report, WorkerPool
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
    count: int, load: Callable[[], Tagger], tag: _Tag, paths: Iterable[str | Path]
) -> Iterator[Result]:
    """The same in `count` processes. One that dies is replaced, and its recording tried once more.

    Args:
        load: makes the tagger of a process.

    Raises:
        DiffresError: the model does not load, or processes die whatever they are given.
    """
    with WorkerPool(count, _prepare, (load, tag)) as pool:
        for (_, path), result in pool.run_in_order(enumerate(paths)):
            if isinstance(result, Died):
                yield AudioError(f"{printable(str(path))}: the process tagging it died ({result.reason})")
            else:
                yield result[0]


def _prepare(
    load: Callable[[], Tagger], tag: _Tag
) -> Callable[[tuple[int, str | Path], Report], tuple[Result]]:
    with required():
        tagger = load()
    # In a tuple: an error by itself would end the pool.
    return lambda task, _: (next(tag_each(partial(tag, tagger), [task[1]])),)
