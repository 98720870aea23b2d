"""The program as a whole: help, versions, mistakes in the command line, and what it loads."""

from __future__ import annotations

import os
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from command import EXAMPLES, Result, invoke, spawn
from repository import loaded_by

from diffres_cli import __version__
from diffres_cli.__main__ import main

SIREN = EXAMPLES / "siren.ogg"
COMMANDS = ([], ["tag"], ["viz"], ["export"], ["models"], ["models", "info"], ["models", "list"])
COMMANDS += (["train"], ["eval"], ["data"], ["data", "list"], ["data", "check"])


def refused(*arguments: str) -> str:
    """What is said of a tag command that is wrong in itself, and so has no results."""
    result = invoke("tag", SIREN, *arguments)
    assert (result.code, result.out) == (2, "")
    return result.complaint


def test_what_the_system_refuses_is_said_in_its_words() -> None:
    name = "m" * 300
    result = invoke("tag", SIREN, "-m", name)
    # Newer Pythons take a name that cannot be for one that is not there.
    words = {3: f"{name}: File name too long (--debug shows where)", 2: f"unknown model '{name}'"}
    assert result.out == ""
    assert result.complaint.startswith(words[result.code])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(command: list[str], option: str) -> None:
    result = invoke(*command, option)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: {' '.join(['diffres', *command])}")


def test_help_names_every_option_with_its_purpose() -> None:
    options = [line for line in invoke("tag", "-h").out.splitlines() if line.lstrip().startswith("-")]
    assert len(options) >= 17
    assert all(len(line.split()) >= 3 or len(line) > 28 for line in options)


def test_the_help_of_tag_is_grouped_with_at_most_25_options_before_the_rest() -> None:
    text = invoke("tag", "--help").out
    headings = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert headings == ["Arguments", "Input", "Output", "Labels", "Model", "Scale", "More"]
    options = re.findall(r"^  (?:-\w, )?--[\w-]+", text.partition("\nMore:")[0], re.MULTILINE)
    assert 15 < len(options) <= 25


def test_the_examples_in_the_help_of_tag_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = invoke("tag", "--help").out.partition("\nArguments:")[0]
    commands = [line.split("  ")[2].split() for line in text.splitlines() if "  diffres tag" in line]
    assert len(commands) == 3
    monkeypatch.chdir(tmp_path)
    for path in (Path("siren.ogg"), Path("recordings", "below", "siren.ogg")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(SIREN)
    for _, *arguments in commands:
        assert invoke(*arguments).code == 0
    assert Path("results", "below", "siren.ogg.csv").exists()


def test_help_without_rich_or_colours_in_a_pipe() -> None:
    result = spawn("--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.isascii()
    assert "\x1b" not in result.out


def test_no_arguments_show_the_help_as_a_mistake() -> None:
    result = invoke()
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: diffres")


def test_the_version() -> None:
    assert invoke("--version") == Result(0, f"diffres {__version__}\n", "")
    assert invoke("--version", "tag").out == f"diffres {__version__}\n"


def test_the_installed_program_is_the_module() -> None:
    (program,) = entry_points(group="console_scripts", name="diffres")
    assert program.load() is main


@pytest.mark.parametrize("code", ["import diffres_cli.cli.main", "import diffres_cli.__main__"])
def test_the_command_line_loads_nothing_it_may_not_need(code: str) -> None:
    heavy = {"torch", "onnxruntime", "numpy", "matplotlib", "soundfile", "soxr", "rich", "huggingface_hub"}
    assert loaded_by(code, heavy) == set()


@pytest.mark.parametrize("format_", ["table", "json", "jsonl", "csv"])
def test_tagging_loads_only_what_it_uses(format_: str) -> None:
    clip = EXAMPLES / "spoken_words.flac"  # at the model's rate
    code = f"from diffres_cli.cli.main import run; run(['tag', {os.fspath(clip)!r}, '-f', {format_!r}])"
    heavy = {"torch", "matplotlib", "soxr", "rich", "huggingface_hub", "scipy", "pydantic", "multiprocessing"}
    assert loaded_by(code, heavy) == set()


@pytest.mark.parametrize("value", ["0", "-1", "101", "19.9", "nan", "inf", "-inf", "1e9"])
def test_a_rate_the_model_does_not_serve(value: str) -> None:
    complaint = refused("--fps", value)
    assert complaint.startswith("--fps ")
    assert complaint.endswith("audioset-small serves 20 to 100 frames per second (default 50)")


@pytest.mark.parametrize("value", ["abc", "", "25,50", "0x10", "25fps"])
def test_a_rate_that_is_no_number(value: str) -> None:
    expected = "expected a number of frames per second, such as 25"
    assert refused("--fps", value) == f"--fps {value or repr(value)}: {expected}"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-k", "0"], "--top-k 0: must be at least 1"),
        (["-k", "-3"], "--top-k -3: must be at least 1"),
        (["-k", "2.5"], "Invalid value for '--top-k' / '-k': '2.5' is not a valid int"),
        (["-c", "2"], "--min-confidence 2: must be 0 to 1"),
        (["-c", "-0.1"], "--min-confidence -0.1: must be 0 to 1"),
        (["-c", "nan"], "--min-confidence nan: must be 0 to 1"),
        (["-c", "half"], "Invalid value for '--min-confidence' / '-c': 'half' is not a valid float"),
        (["--window", "0"], "--window 0: must be 0.5 to 3600 seconds"),
        (["--window", "-1"], "--window -1: must be 0.5 to 3600 seconds"),
        (["--window", "0.49"], "--window 0.49: must be 0.5 to 3600 seconds"),
        (["--window", "nan"], "--window nan: must be 0.5 to 3600 seconds"),
        (["--window", "1e9"], "--window 1e+09: must be 0.5 to 3600 seconds"),
        (["--overlap", "10"], "--overlap 10: must be 0 to "),
        (["--overlap", "-1"], "--overlap -1: must be 0 to "),
        (["--overlap", "nan"], "--overlap nan: must be 0 to "),
        (["--window", "2", "--overlap", "2"], "--overlap 2: must be 0 to "),
        (["--device", "gpu"], "--device gpu: choose auto, cpu, cuda"),
        (["--backend", "jax"], "--backend jax: choose onnx or torch"),
        (["-f", "xml"], "--format xml: choose table, json, jsonl, csv"),
        (["-m", "nope"], "unknown model 'nope': shipped: audioset-small"),
        (["--bogus"], "No such option: --bogus"),
        (["-f"], "Option '-f' requires an argument (see diffres tag --help)"),
    ],
    ids=" ".join,
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(arguments: list[str], complaint: str) -> None:
    assert refused(*arguments).startswith(complaint)


def test_cuda_without_a_gpu() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    assert refused("--device", "cuda").startswith("--device cuda: this ONNX Runtime runs on the CPU only")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus' (see diffres --help)"),
        (["tagg"], "No such command 'tagg'. Did you mean 'tag'? (see diffres --help)"),
        (["models", "bogus"], "No such command 'bogus' (see diffres models --help)"),
        (["tag"], "nothing to tag: name files, folders or patterns, or - for standard input"),
        (["viz"], "Missing argument 'INPUT' (see diffres viz --help)"),
        (["export", "audioset-small"], "Missing option '--output' / '-o' (see diffres export --help)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_cannot_be_understood(arguments: list[str], complaint: str) -> None:
    result = invoke(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.complaint == complaint


@pytest.mark.parametrize("arguments", [["tag"], ["tag", "x", "--fps", "0"], ["tag", "nowhere.wav"]])
def test_debug_adds_where_and_changes_no_exit_code(arguments: list[str]) -> None:
    plain, debug = invoke(*arguments), invoke(*arguments, "--debug")
    assert debug.code == plain.code
    assert debug.err.startswith("Traceback (most recent call last):")
    assert debug.err.endswith(plain.err)


def test_shell_completion_answers() -> None:
    words = {"_DIFFRES_COMPLETE": "complete_bash", "COMP_WORDS": "diffres t", "COMP_CWORD": "1"}
    result = spawn(env={**os.environ, **words})
    assert (result.code, result.out.split(), result.err) == (0, ["tag", "train"], "")
