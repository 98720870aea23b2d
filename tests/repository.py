"""Reading the repository itself: its files, imports, dependencies and functions."""

import ast
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import tomli
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


class Import(NamedTuple):
    path: Path
    line: int
    name: str  # dotted, with what is imported from it: "numpy.typing.NDArray"
    lazy: bool  # inside a function, or for types alone

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports_of(paths: list[Path]) -> Iterator[Import]:
    for path in paths:
        tree = ast.parse(path.read_text("utf-8"))
        functions = [
            node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        for_types = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ]
        lazy = {id(node) for block in (*functions, *for_types) for node in ast.walk(block)}
        for node in ast.walk(tree):
            for name in imported_names(node, path):
                yield Import(path, node.lineno, name, id(node) in lazy)


def imported_names(node: ast.AST, path: Path) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            above = [*path.relative_to(ROOT).parts[:-level]] if level else []
            return [".".join([*above, *([module] if module else []), alias.name]) for alias in names]
        case ast.Call(
            func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[name, *_]
        ):
            either = [name.body, name.orelse] if isinstance(name, ast.IfExp) else [name]
            return [part.value for part in either if isinstance(part, ast.Constant)]
    return []


def project() -> dict:
    return tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def requirements(*extras: str) -> list[Requirement]:
    """The base dependencies and those of the given extras."""
    groups = [project()["dependencies"], *(project()["optional-dependencies"][extra] for extra in extras)]
    return [Requirement(line) for group in groups for line in group]


@cache
def modules(distribution: str) -> frozenset[str]:
    """The top-level modules an installed distribution provides."""
    files = importlib.metadata.files(distribution) or []
    return frozenset(
        file.parts[0].partition(".")[0] for file in files if file.suffix in {".py", ".so", ".pyd"}
    )


def loaded_by(code: str, modules: set[str]) -> set[str]:
    """Which of the modules a fresh process has loaded after running the code."""
    code += f"\nimport sys; print(); print(*({modules} & sys.modules.keys()))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return set(run.stdout.splitlines()[-1].split())


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    paths = [ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def length(function: ast.FunctionDef) -> int:
    """Lines of the body: neither the signature (a command's is its table of options) nor the docstring."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
