"""Objects by import path; packages that are missing, and packages that are installed and do not load."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from typing import TypeVar

from diffres_cli.errors import BrokenDependencyError, DiffresError, MissingDependencyError, UsageError

_T = TypeVar("_T")


def import_object(path: str, kind: type[_T]) -> _T:
    """The object at an import path, "package.module:NAME".

    Args:
        kind: what it must be an instance of; `type` for a class.

    Raises:
        UsageError: there is no such module or name, the module does not load, or it is of another kind.
        What a module of our own raises while it loads passes: see `required`.

    >>> import_object("pathlib:Path", type)
    <class 'pathlib.Path'>
    """
    module, _, name = path.partition(":")
    try:
        found = reduce(getattr, name.split("."), import_module(module))
    except Exception as error:  # whatever a module raises while it loads
        if module.startswith("diffres_cli."):
            raise
        raise UsageError(
            f"{path}: cannot be imported ({type(error).__name__}: {error}): write package.module:NAME; "
            "the package must be installed, or its folder be on PYTHONPATH"
        ) from error
    if not isinstance(found, kind):
        raise UsageError(f"{path}: expected a {kind.__name__}, found a {type(found).__name__}")
    return found


@contextmanager
def without_gc() -> Iterator[None]:
    """Do not search what this block imports for garbage: all of it stays. `diffres tag` is quicker for it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def required(feature: str = "diffres", install: str = "diffres") -> Iterator[None]:
    """Explain imports that fail within this block. Any other exception passes.

    Args:
        feature: what the packages are needed for. install: what pip installs them with.

    Raises:
        MissingDependencyError: a package is not installed.
        BrokenDependencyError: a package is installed and does not load.
    """
    try:
        yield
    except Exception as error:
        explained = import_failure(error, feature, install)
        if explained is None:
            raise
        raise explained from error


def import_failure(
    error: BaseException, feature: str = "diffres", install: str = "diffres"
) -> DiffresError | None:
    """Say which package is missing or broken; None where `error` was not raised by an import.

    Args:
        feature, install: see `required`; an empty `install` stands for the package itself.
    """
    if isinstance(error, (DiffresError, MemoryError)):
        return None
    if isinstance(error, ModuleNotFoundError) and error.name and _is_package(error.name):
        return MissingDependencyError(
            f"{feature} needs {error.name}, which is not installed: pip install '{install or error.name}'"
        )
    package = _package_at_fault(error)
    if package is None:
        return None
    return BrokenDependencyError(
        f"{feature} needs {package}, which is installed and does not load ({_words(error)}): "
        f"pip install --force-reinstall '{install or package}'"
    )


def _is_package(name: str) -> bool:
    """Whether a third-party package has this name. Parts of one, "torch.fx", are not missing alone."""
    return "." not in name and name != "diffres_cli" and name not in sys.stdlib_module_names


def _package_at_fault(error: BaseException) -> str | None:
    """The package whose module was running when its import failed.

    Libraries report what they cannot load by any class: torchaudio by OSError, torchvision by RuntimeError.
    During an import, a module is still running.
    """
    from traceback import walk_tb

    frames = [frame for cause in _causes(error) for frame, _ in walk_tb(cause.__traceback__)]
    running = [frame for frame in frames if frame.f_code.co_name == "<module>"]
    modules = [str(frame.f_globals.get("__name__", "__main__")) for frame in running]
    if isinstance(error, ImportError) and error.name:
        modules.append(error.name)
    packages = [name.partition(".")[0] for name in modules]
    foreign = [package for package in packages if _is_package(package) and package != "__main__"]
    return foreign[-1] if foreign else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _words(error: BaseException) -> str:
    """The first line of the first cause. Some packages put a page of advice around it."""
    *_, first = _causes(error)
    lines = str(first).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(first).__name__
