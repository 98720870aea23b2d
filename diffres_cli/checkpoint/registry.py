"""Parts of a network by name or by import path, each imported when it is asked for.

A registered name is a line in `parts.py`. Anyone's own part needs no line: its import path,
`my_package.my_module:MyNet`, serves as its name in a recipe and in Python. A model file that names an import
path is refused unless the caller names it too (`trusted`): opening a model never runs code that it chose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from diffres_cli.errors import UsageError
from diffres_cli.imports import import_object

_T = TypeVar("_T")

EXAMPLE_PATH = "my_package:MyClass"
TRUST_VARIABLE = "DIFFRES_TRUST"
"""Import paths, separated by commas, that model files may name in this process."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_import_path(name: object) -> bool:
    """Whether a name has the form package.module:attribute.

    >>> is_import_path("my_package.nets:MyNet"), is_import_path("mel"), is_import_path(["a:b"])
    (True, False, False)
    """
    return isinstance(name, str) and _IMPORT_PATH.fullmatch(name) is not None


class Registry(dict[str, str]):
    """Names of one kind of part -> their import paths.

    Args:
        kind: what the parts are, for messages. paths: name -> "module:attribute".

    >>> registry = Registry("codec", {"json": "json:loads"})
    >>> registry.load("json")("[1]"), registry.load("math:sqrt")(4.0)
    ([1], 2.0)
    """

    def __init__(self, kind: str, paths: Mapping[str, str]) -> None:
        super().__init__(paths)
        self.kind = kind

    def accepts(self, name: object) -> bool:
        """Whether `name` is registered or an import path. Nothing is imported."""
        return isinstance(name, str) and (name in self or is_import_path(name))

    def describe(self) -> str:
        """The names to choose from, in words."""
        return f"{', '.join(self)}, or an import path such as {EXAMPLE_PATH}"

    def check(self, name: object) -> None:
        """Raises UsageError for a name that is neither registered nor an import path."""
        if not self.accepts(name):
            raise UsageError(f"{self.kind} {name!r}: unknown; choose {self.describe()}")

    def load(self, name: str) -> Any:
        """Import the part behind a name or an import path.

        Raises:
            UsageError: an unknown name, or an import path that leads to nothing.
        """
        self.check(name)
        return import_object(self.get(name, name), object)

    def build(self, name: str, base: type[_T], *arguments: object, **options: object) -> _T:
        """Make the part behind a name or an import path: a class derived from `base`, or what returns one.

        Raises:
            UsageError: see `load`; or what is there makes none, or not of these arguments.
        """
        part = self.load(name)
        suits = issubclass(part, base) if isinstance(part, type) else callable(part)
        try:
            made = part(*arguments, **options) if suits else part
        except TypeError as error:
            if name in self:
                raise
            raise UsageError(f"{self.kind} {name}: makes no {base.__name__} ({error})") from error
        if not isinstance(made, base):
            raise UsageError(f"{self.kind} {name}: must be a class derived from {base.__name__}")
        return made


def untrusted(names: Iterable[str], trusted: Iterable[str]) -> list[str]:
    """The import paths among `names` that neither the caller nor DIFFRES_TRUST allows."""
    allowed = {*trusted, *os.environ.get(TRUST_VARIABLE, "").split(",")}
    return [name for name in names if is_import_path(name) and name not in allowed]
