"""The rules of the house (CONTRIBUTING.md), kept by reading the code."""

import ast
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import (
    ROOT,
    imports_of,
    length,
    loaded_by,
    modules,
    project,
    python_files,
    requirements,
    tracked_files,
)

import diffres_cli

PACKAGE = ROOT / "diffres_cli"

MAP = re.findall(r"^    (\w+(?:\.py|/))  ", diffres_cli.__doc__, re.MULTILINE)
ROOMS = [entry.rstrip("/").removesuffix(".py") for entry in MAP]
TORCH_ROOMS = {"nn", "evaluation", "training"}
TORCH_FILES = {PACKAGE / "comparison" / "throughput.py"}  # inside functions that measure
# A room imports rooms above it in the map. The torch rooms stand last; these two open them on request,
# inside a function, and so may not be imported by what they open.
DOORS = {"tagging": {"nn"}, "cli": {"nn", "evaluation", "training", "comparison"}}

# The files of each extra, which say what to install where the package is missing.
OPTIONAL = {
    "parquet": {PACKAGE / "outputs" / "parquet.py", PACKAGE / "datasets" / "cliptable.py"},
    "ray": {*(PACKAGE / "batch" / "ray").glob("*.py")},
}

# Declared, and imported or run by another program than ours.
USED_BY_OTHERS = {
    "onnxscript": "torch.onnx",
    "tensorboardX": "Lightning's TensorBoardLogger",
    "pytest-xdist": "pytest -n",
    "ruff": "scripts/check.py",
    "mypy": "scripts/check.py",
}

# A caller's own, imported where they ask for it, and no dependency of ours.
CALLERS = {"pandas"}

# What bench/peers.py compares us with: no dependencies of ours.
PEERS = {"transformers", "panns_inference", "librosa"}

SET_UP = ("_environment.py", "demo.py", "check.py", "check_install.py", "pin.py")

LONGEST_FILE = 300
LONGEST_FUNCTION = 45

OTHER_PROGRAMS = {"--force-reinstall", "--ntasks-per-node", "--porcelain"}

# In pieces, so that this file keeps the rule it checks.
REGISTRIES = [
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("download", "pytorch", "org"),
    ("anaconda", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("crates", "io"),
    ("docker", "io"),
    ("ghcr", "io"),
]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def files_of(rooms: set[str]) -> list[Path]:
    return [path for path in python_files("diffres_cli") if room_of(path) in rooms]


def room_imported(name: str) -> str | None:
    """The room a dotted name of ours lies in; None for the facade and names of its own."""
    _, *inside = diffres_cli._MODULE_OF.get(name.removeprefix("diffres_cli."), name).split(".")
    return inside[0] if inside and inside[0] in ROOMS else None


@pytest.mark.parametrize(
    "package",
    sorted(path.parent for path in PACKAGE.rglob("__init__.py")),
    ids=lambda folder: folder.relative_to(ROOT).as_posix(),
)
def test_the_map_of_a_package_names_exactly_what_is_in_it(package):
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    lists = re.findall(r"^ *((?:\w+(?:\.py|/)(?:, |(?= |$)))+)", docstring, re.MULTILINE)
    named = [name for names in lists for name in names.split(", ") if name]
    packages = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert sorted(named) == sorted(packages | modules)


def test_no_room_imports_a_room_below_it_in_the_map():
    def allowed(importer: str, imported: str, lazy: bool) -> bool:
        if imported in DOORS.get(importer, ()):
            return lazy
        return ROOMS.index(imported) <= ROOMS.index(importer) and importer not in DOORS.get(imported, ())

    ours = [found for found in imports_of(files_of(set(ROOMS))) if found.top == "diffres_cli"]
    targets = [(found, room_imported(found.name)) for found in ours]
    assert targets
    wrong = [found for found, to in targets if to and not allowed(room_of(found.path), to, found.lazy)]
    assert not wrong, "\n".join(map(str, wrong))


def paths_of(extra: str) -> list[Path]:
    """The files that may import what an extra installs, beside the base dependencies."""
    if extra == "base":  # no torch, be it inside a function or for its types
        base = set(files_of(set(ROOMS) - TORCH_ROOMS - {"recipes"})).difference(
            TORCH_FILES, *OPTIONAL.values()
        )
        return sorted(base)
    if extra == "train":
        return [*files_of(TORCH_ROOMS | {"recipes"}), *TORCH_FILES]
    return sorted(OPTIONAL[extra] if extra in OPTIONAL else python_files("tests", "scripts", "bench"))


@pytest.mark.parametrize(
    ("extra", "allowed"),
    [
        ("base", ()),
        *((extra, (extra,)) for extra in OPTIONAL),
        ("train", ("train",)),
        ("dev", ("train", "dev", *OPTIONAL)),
    ],
)
def test_every_third_party_import_is_declared(extra, allowed):
    paths = paths_of(extra)
    development = [path.relative_to(ROOT) for path in paths if PACKAGE not in path.parents]
    ours = {"diffres_cli"} | {part for path in development for part in path.with_suffix("").parts}
    known = sys.stdlib_module_names | ours | CALLERS | {"tomllib"}  # on Python 3.10 tomli stands in for it
    foreign = [found for found in imports_of(paths) if found.top not in known]
    foreign = [found for found in foreign if found.path.name != "peers.py" or found.top not in PEERS]
    assert foreign
    declared = {module for requirement in requirements(*allowed) for module in modules(requirement.name)}
    wrong = [found for found in foreign if found.top not in declared]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("extra", ["base", "train", "dev", *OPTIONAL])
def test_every_declared_dependency_is_imported(extra):
    lines = project()["dependencies"] if extra == "base" else project()["optional-dependencies"][extra]
    declared = {Requirement(line).name for line in lines} - {"diffres"}
    paths = paths_of(extra) + (paths_of("parquet") if extra == "ray" else [])  # its workers write Parquet
    imported = {found.top for found in imports_of(paths)}
    unused = {name for name in declared if not modules(name) & imported}
    assert unused == USED_BY_OTHERS.keys() & declared


def test_the_set_up_scripts_need_nothing_installed():
    scripts = [ROOT / "scripts" / name for name in SET_UP]
    assert {found.top for found in imports_of(scripts)} <= sys.stdlib_module_names | {"_environment"}


def test_importing_everything_outside_the_torch_rooms_loads_no_torch():
    files = [PACKAGE / "__init__.py", *files_of(set(ROOMS) - TORCH_ROOMS)]
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files
    }
    assert {"diffres_cli", "diffres_cli.cli", "diffres_cli.tagging.tagger"} <= names
    assert loaded_by(f"import {', '.join(sorted(names))}", {"torch"}) == set()


@pytest.mark.parametrize("command", ["tag NOISE", "viz -o PICTURE NOISE", "viz --terminal NOISE", "models"])
def test_commands_load_no_torch(command, tmp_path):
    files = {"NOISE": str(tmp_path / "noise.wav"), "PICTURE": str(tmp_path / "picture.png")}
    soundfile.write(files["NOISE"], np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    words = [files.get(word, word) for word in command.split()]
    assert loaded_by(f"from diffres_cli.cli.main import run; assert run({words}) == 0", {"torch"}) == set()


def test_the_command_line_loads_nothing_heavy_before_it_knows_the_command():
    heavy = {"huggingface_hub", "matplotlib", "numpy", "onnxruntime", "rich", "soundfile", "soxr", "torch"}
    assert loaded_by("import diffres_cli.cli", heavy) == set()


@pytest.mark.parametrize(
    "path", python_files("diffres_cli", "scripts", "bench", "tests"), ids=lambda path: path.name
)
def test_rooms_are_small(path):
    text = path.read_text("utf-8")
    lines = text.count("\n")
    assert lines <= LONGEST_FILE
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    assert [function.name for function in functions if length(function) > LONGEST_FUNCTION] == []


@pytest.mark.parametrize("path", files_of(set(ROOMS) - {"cli"}), ids=lambda path: path.name)
def test_only_the_command_line_names_flags(path):
    named = {flag for text in texts(path) for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", text)}
    found = named - OTHER_PROGRAMS
    assert not found, f"{found}: raise a SettingError, or use plain words"


def texts(path: Path) -> list[str]:
    """The strings of a file but for docstrings, and without the `diffres` commands they recommend or are."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    commands = [
        node for node in nodes if isinstance(node, ast.List) and "'diffres'" in map(ast.unparse, node.elts)
    ]
    inside |= {id(part) for command in commands for part in ast.walk(command)}
    strings = [
        node
        for node in nodes
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and not {id(node)} & (docs | inside)
    ]
    return [re.sub(r"(?:diffres [a-z]+|\{command\}) [^`]*", "", ast.unparse(node)) for node in strings]


def test_no_package_registry_is_named():
    hosts = [".".join(parts).encode() for parts in REGISTRIES]
    contents = ((path.relative_to(ROOT), path.read_bytes().lower()) for path in tracked_files())
    assert [(path, host) for path, text in contents for host in hosts if host in text] == []


def test_the_version_is_one():
    assert project()["version"] == diffres_cli.__version__


def test_every_dependency_is_pinned_to_a_version_it_allows():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    here = {pin.name: str(pin.specifier)[2:] for pin in pins if not pin.marker or pin.marker.evaluate()}
    extras = ("train", "dev", *OPTIONAL)
    needed = [requirement for requirement in requirements(*extras) if requirement.name != "diffres"]
    assert {canonicalize_name(need.name) for need in needed} <= here.keys()
    assert [need for need in needed if here[canonicalize_name(need.name)] not in need.specifier] == []


@pytest.mark.parametrize("command", ["python3 scripts/demo.py", "python3 scripts/check.py"])
def test_the_readme_gives_the_set_up_commands(command):
    assert command in (ROOT / "README.md").read_text("utf-8").splitlines()


def test_ci_runs_the_readmes_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").splitlines()[-1] == "exec python3 scripts/check.py"


def test_no_test_is_less_patient_than_the_others():
    limit = re.compile(r"""(?:timeout["']?[=:] ?|\b(?:wait|join)\()[1-9]""")
    files = [path for path in (ROOT / "tests").glob("*.py") if path != Path(__file__)]
    assert [path.name for path in files if limit.search(path.read_text("utf-8"))] == []  # see patience.py


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    ids=lambda page: page.name,
)
def test_scripts_named_in_the_docs_exist(page):
    scripts = re.findall(r"\b(?:scripts|bench)/\w+\.py\b", page.read_text("utf-8"))
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_tests_named_in_the_docs_exist(page):
    file = ""
    for named, test in re.findall(r"`(test_\w+\.py)?::(test_\w+)`", page.read_text("utf-8")):
        file = named or file
        assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}::{test}"
