"""The exported network of a run, and its card's text below the facts, in Markdown."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffres_cli.errors import ModelError, UsageError
from diffres_cli.evaluation.report import NAMES, format_metric
from diffres_cli.evaluation.result import MeanStd
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.publish import notes_of
from diffres_cli.nn.weights import load_network
from diffres_cli.recipes.files import read_recipe
from diffres_cli.text import read_text

NOT_EVALUATED = "## Evaluation\n\nNone: how well this model does was not measured."


def network_and_notes(
    weights: Path, output: Path, *, unevaluated: bool = False
) -> tuple[DiffResNetwork, str]:
    """A network and its card's notes. A run's notes hold its scores, and its network is named after `output`.

    Args:
        weights: the file. output: where it goes, a folder or an .onnx file, which has no card.
        unevaluated: a run without an evaluation will do.

    Raises:
        UsageError: `output` is the run itself. ModelError: damaged weights; or see `run_notes`.
    """
    run, is_graph = RunFolder(weights.parent), output.suffix == ".onnx"
    if not run.recipe.is_file():
        return load_network(weights), notes_of(run.path)
    if output.resolve() == run.path.resolve():
        raise UsageError(f"-o {output}: is the run itself; name another folder")
    notes = "" if is_graph else run_notes(run, unevaluated=unevaluated)
    network = load_network(weights)
    network.card = network.card.renamed(output.resolve().name.removesuffix(".onnx"))
    return network, notes


def run_notes(run: RunFolder, *, unevaluated: bool = False) -> str:
    """The sections Evaluation and Training of a run's card.

    Args:
        unevaluated: a run without an evaluation will do.

    Raises:
        ModelError: there is no evaluation of the run's present model, or it is damaged.
    """
    found = None if unevaluated else run.read_evaluation()
    if found is None and not unevaluated:
        raise ModelError(f"{run.path}: not evaluated: {_advice(run)}")
    evaluation = NOT_EVALUATED if found is None else _evaluation(found, run.evaluation)
    return f"{evaluation}\n\n{_training(run)}"


def _advice(run: RunFolder) -> str:
    if not read_recipe(run.recipe).data.dataset:
        return "a run of soft labels has no labelled test split: export it unevaluated"
    return f"run `diffres eval {run.path}` first, for the card's numbers, or export it unevaluated"


def _evaluation(found: Mapping[str, Any], path: Path) -> str:
    try:
        return f"## Evaluation\n\n{_table(found['rates'])}\n\n{_conditions(found)}"
    except (KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{path}: damaged ({error!r}): run `diffres eval {path.parent}` again") from error


def _table(rates: list[Mapping[str, Any]]) -> str:
    names = [name for name in NAMES if name in rates[0]["metrics"]]
    rows = [["fps", *(NAMES[name] for name in names), "ms a clip"], ["---:"] * (len(names) + 2)]
    for rate in rates:
        scores = (math.nan if rate["metrics"][name] is None else rate["metrics"][name] for name in names)
        cells = [
            format_metric(name, MeanStd(score, math.nan)) for name, score in zip(names, scores, strict=True)
        ]
        rows.append([f"{rate['fps']:g}", *cells, f"{1000 * rate['seconds_per_clip']:.1f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _conditions(found: Mapping[str, Any]) -> str:
    undecodable = len(found["undecodable"])
    without = f", {undecodable} more could not be decoded" if undecodable else ""
    lost = len(found["missing"])
    without += f", {lost} of the dataset's clips were missing" if lost else ""
    absent = len(found["absent"])
    left = f" {absent} of the classes have no clip there and are left out of the means." if absent else ""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"On {found['dataset']} ({found['citation']}; {found['licence']}), {','.join(found['splits'])}: "
        f"{found['clips']} clips of {found['duration']:.3g} s on average{without}.{left} The time is the "
        f"model's alone, in batches of {found['batch_size']}, {found['backend']} on {found['device']}.\n\n"
        f"Command: `{found['command']}`. Machine: {found['machine']}. Versions: {versions}."
    )


def _training(run: RunFolder) -> str:
    lines = read_text(run.recipe).strip().splitlines()
    # Local data folders are private.
    recipe = "\n".join(line for line in lines if not line.startswith(("root =", "soft_labels =")))
    facts = _facts(run.known_facts())
    return f"## Training\n\n{facts}The recipe:\n\n```toml\n{recipe}\n```\n"


def _facts(facts: Mapping[str, Any]) -> str:
    """Clips, command, code and machine, as far as run.json states them."""
    data, git = facts.get("data") or {}, facts.get("git") or {}
    command = facts.get("command")
    lines = {
        "clips": _counts(data.get("clips")),
        "data's SHA-256": data.get("sha256"),
        "command": f"`{shlex.join(_without_folders(command))}`" if isinstance(command, list) else command,
        "code": git.get("commit") and f"commit {git['commit']}{', changed' if git.get('changed') else ''}",
        "machine": facts.get("machine"),
        "versions": ", ".join(f"{name} {number}" for name, number in (facts.get("versions") or {}).items()),
    }
    stated = "".join(f"- {name}: {value}\n" for name, value in lines.items() if value)
    return f"{stated}\n" if stated else ""


def _without_folders(command: list[str]) -> list[str]:
    """The command without the folders its paths lie in, as for the recipe.

    >>> _without_folders(["diffres", "train", "data=/home/me/birds", "-o", "/home/me/1", "hf:org/name"])
    ['diffres', 'train', 'data=birds', '-o', '1', 'hf:org/name']
    """
    parts = [word.rpartition("=") for word in command]
    return [
        before + equals + (last if last.startswith("hf:") else Path(last).name or last)
        for before, equals, last in parts
    ]


def _counts(clips: object) -> object:
    if isinstance(clips, Mapping):
        return ", ".join(f"{count} {split}" for split, count in clips.items())
    return clips
