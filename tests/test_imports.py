"""Packages that are missing and packages that are broken, in real processes: which is it, and why."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

import pytest
from audio_files import noise, write
from command import EXAMPLES, WITHOUT, Result, spawn
from places import names

from diffres_cli.imports import import_failure

SIREN = EXAMPLES / "siren.ogg"
REASON = "libbroken.so: undefined symbol: f"
TORCH = ["tag", SIREN, "--backend", "torch"]
ESC = ["--dataset", "esc50", "--data", "nowhere"]
URL = "http://127.0.0.1:9/a.wav"

BROKEN = [
    ("torchaudio", "OSError", TORCH, "diffres[train]"),
    ("torchvision", "RuntimeError", TORCH, "diffres[train]"),
    ("safetensors", "ImportError", TORCH, "diffres[train]"),
    ("torch", "OSError", ["train", *ESC], "diffres[train]"),
    ("torch", "OSError", ["eval", "audioset-small", *ESC], "diffres[train]"),
    ("tomli_w", "OSError", ["compare", "--plans"], "diffres[train]"),
    ("torch", "OSError", ["export", "audioset-small", "-o", "model"], "diffres[train]"),
    ("onnxruntime", "ImportError", ["tag", SIREN], "diffres"),
    ("onnxruntime", "ImportError", ["tag", SIREN, SIREN, "-j", "2"], "diffres"),
    ("soundfile", "OSError", ["tag", SIREN], "diffres"),
    ("soundfile", "OSError", ["tag", SIREN, "-o", "out.csv"], "diffres"),
    ("soundfile", "OSError", ["tag", EXAMPLES, "-o", "out", "-q"], "diffres"),
    ("soundfile", "OSError", ["data", "check", "folder", "--data", EXAMPLES / "clips.csv"], "diffres"),
    ("soxr", "ImportError", ["tag", "16kHz.wav"], "diffres"),
    ("numpy", "ImportError", ["tag", SIREN], "diffres"),
    ("matplotlib", "OSError", ["viz", SIREN, "-o", "picture.png"], "diffres"),
    ("rich", "OSError", ["viz", SIREN, "--terminal"], "diffres"),
    ("typer", "OSError", ["--version"], "diffres"),
    ("huggingface_hub", "OSError", ["models", "install", "hf:org/small"], "diffres"),
    ("huggingface_hub", "OSError", ["data", "download", "esc50", "--data", "esc50"], "diffres"),
    ("pyarrow", "OSError", ["tag", SIREN, "-o", "tags.parquet"], "diffres[parquet]"),
    ("ray", "OSError", ["tag", SIREN, "--engine", "ray", "-o", "out"], "diffres[ray]"),
    ("fsspec", "OSError", ["tag", URL, "--engine", "ray", "-o", "out"], "diffres[ray]"),
    ("aiohttp", "OSError", ["tag", URL, "--engine", "ray", "-o", "out"], "aiohttp"),
]


def with_package(package: str, source: str, folder: Path, *command: str | Path) -> Result:
    """Run a command where a package's own code is `source`, found before the installed one."""
    (folder / "packages" / package).mkdir(parents=True)
    (folder / "packages" / package / "__init__.py").write_text(source)
    (folder / "work").mkdir()
    write(folder / "work" / "16kHz.wav", noise(1, 16_000), 16_000)
    path = os.pathsep.join([str(folder / "packages"), str(EXAMPLES.parent)])
    return spawn(*command, env={**os.environ, "PYTHONPATH": path}, cwd=folder / "work")


@pytest.mark.parametrize(
    ("package", "kind", "command", "install"),
    BROKEN,
    ids=[" ".join(map(str, (package, *command[:2]))) for package, _, command, _ in BROKEN],
)
def test_a_broken_package_is_named_with_its_reason(
    package: str, kind: str, command: list[str | Path], install: str, tmp_path: Path
) -> None:
    result = with_package(package, f"raise {kind}({REASON!r})", tmp_path, *command)
    expected = rf"needs {package}, .*does not load \({REASON}\).*--force-reinstall '{re.escape(install)}'$"
    assert (result.code, result.out) == (3, "")
    assert re.search(expected, result.err.splitlines()[-1])
    assert not {"out.csv", "picture.png", "tags.parquet"} & {*names(tmp_path / "work")}


def test_the_list_of_places_names_what_keeps_torch_from_loading(tmp_path: Path) -> None:
    result = with_package("torchaudio", f"raise OSError({REASON!r})", tmp_path, "models", "providers")
    lines = [line for line in result.out.splitlines() if line.startswith("torch")]
    assert (result.code, len(lines)) == (0, 2)
    assert all(re.search(rf" no .*torchaudio.*does not load \({REASON}\)", line) for line in lines)


@pytest.mark.parametrize(
    ("missing", "command", "install"),
    [
        ("torch", TORCH, "diffres[train]"),
        ("torch", ["export", "audioset-small", "-o", "model"], "diffres[train]"),
        ("torch", ["train", *ESC], "diffres[train]"),
        ("lightning", ["train", *ESC], "diffres[train]"),
        ("tomli_w", ["train", *ESC], "diffres[train]"),
        ("torchmetrics", ["eval", "audioset-small", *ESC], "diffres[train]"),
        ("sympy", TORCH, "diffres[train]"),  # what torch itself needs
        ("onnxruntime", ["tag", SIREN], "diffres"),
        ("soundfile", ["tag", SIREN], "diffres"),
        ("typer", ["--version"], "diffres"),
        ("ray", ["tag", SIREN, "--engine", "ray", "-o", "out"], "diffres[ray]"),
        ("aiohttp", ["tag", URL, "--engine", "ray", "-o", "out"], "aiohttp"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    missing: str, command: list[str | Path], install: str, tmp_path: Path
) -> None:
    result = spawn(*command, code=WITHOUT.format((missing,)), cwd=tmp_path)
    assert (result.code, result.out) == (3, "")
    assert result.complaint.endswith(f"needs {missing}, which is not installed: pip install '{install}'")


def test_the_first_cause_is_said_without_the_advice_around_it(tmp_path: Path) -> None:
    """As NumPy words it."""
    source = """
try:
    raise ImportError("libblas.so: cannot open shared object file")
except ImportError as error:
    raise ImportError("\\n\\nIMPORTANT: PLEASE READ THIS FOR ADVICE\\n\\nand so on") from error
"""
    complaint = with_package("soxr", source, tmp_path, "tag", "16kHz.wav").complaint
    assert "(libblas.so: cannot open shared object file)" in complaint
    assert "ADVICE" not in complaint


def test_part_of_a_package_is_not_a_missing_package(tmp_path: Path) -> None:
    complaint = with_package("soxr", "import soxr.gone", tmp_path, "tag", "16kHz.wav").complaint
    assert "needs soxr, which is installed and does not load (No module named 'soxr.gone')" in complaint


@pytest.mark.parametrize("error", [OSError("no import"), ImportError("no import"), MemoryError()])
def test_what_no_import_raised_is_left_alone(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert import_failure(raised.value) is None


def test_an_error_without_a_file_name_is_not_one_of_standard_output() -> None:
    """A process that may open few files has no pipes for so many workers."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))  # noqa: E731
    result = spawn("tag", EXAMPLES, "-j", "8", preexec_fn=few)
    assert (result.code, result.out) == (3, "")
    assert "Too many open files" in result.complaint
    assert "standard output" not in result.complaint
