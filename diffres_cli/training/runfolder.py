"""The folder of a run: all that is needed to go on with it, to judge it, and to do it again."""

from __future__ import annotations

import csv
import io
import math
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from diffres_cli import __version__
from diffres_cli.checkpoint.find import WEIGHTS_NAME
from diffres_cli.errors import TrainingError, UsageError
from diffres_cli.evaluation.provenance import machine
from diffres_cli.files import make_folder, read_json, write_atomically, write_json
from diffres_cli.recipes.files import from_plain, read_recipe, to_toml
from diffres_cli.recipes.recipe import Recipe

LOCK_NAME = ".lock"
_PACKAGES = ("torch", "torchaudio", "torchvision", "lightning", "torchmetrics", "numpy", "soundfile", "soxr")


@dataclass(frozen=True)
class RunFolder:
    """A run on disk."""

    path: Path

    @property
    def model(self) -> Path:
        """The weights to keep, with their card."""
        return self.path / WEIGHTS_NAME

    @property
    def state(self) -> Path:
        """Everything Lightning needs to go on."""
        return self.path / "last.safetensors"

    @property
    def recipe(self) -> Path:
        """The recipe in effect."""
        return self.path / "recipe.toml"

    @property
    def facts(self) -> Path:
        """When, where, with what, and how it stands."""
        return self.path / "run.json"

    @property
    def problems(self) -> Path:
        """The clips that are not heard, and why."""
        return self.path / "clips.csv"

    def begin(self, recipe: Recipe, facts: dict[str, Any]) -> None:
        """Make the folder. Killed before the recipe is there, a run is gone on with by run.json alone.

        Raises:
            UsageError: it holds something. OutputError: it cannot be written.
        """
        self.refuse_taken()
        make_folder(self.path)
        self._write({"recipe": recipe.plain(), **facts, "sessions": [], "status": "decoding"})
        write_atomically(self.recipe, to_toml(recipe).encode())

    def discard(self) -> None:
        """Remove what `begin` made: the data forbids the run."""
        for path in (self.recipe, self.facts, self.path / LOCK_NAME):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            self.path.rmdir()

    def refuse_taken(self) -> None:
        """Raises UsageError if the folder holds something."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            if not self.path.is_dir():
                raise UsageError(f"{self.path}: is a file; name a folder with -o")
            raise UsageError(
                f"{self.path}: is not empty; name another folder with -o, or go on with --resume {self.path}"
            )

    def read(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            UsageError: there is none, or it is damaged.
        """
        if not self.facts.exists():
            raise UsageError(
                f"{self.path}: no run of diffres train, it holds no {self.facts.name}: name the folder of one"
            )
        facts = read_json(self.facts)
        if not {"recipe", "data", "sessions"} <= facts.keys():
            raise UsageError(f"{self.facts}: damaged: it does not say what the run began with")
        return facts

    def unchanged_recipe(self) -> Recipe:
        """The recipe the run began with; recipe.toml is written again where it is not there.

        Raises:
            TrainingError: it was edited since. UsageError: no run, or no recipe.
        """
        began = from_plain(self.read()["recipe"], self.facts)
        if not self.recipe.exists():
            write_atomically(self.recipe, to_toml(began).encode())
        then, now_ = began.flat(), read_recipe(self.recipe).flat()
        changed = [
            f"{name} is {now_[name]!r}, was {value!r}" for name, value in then.items() if now_[name] != value
        ]
        if changed:
            raise TrainingError(
                f"{self.recipe} was changed since the run began: {'; '.join(changed)}: undo that, or begin "
                f"another run with --recipe {self.recipe}"
            )
        return began

    def refuse_other_data(self, data: dict[str, Any]) -> None:
        """Compare fingerprints of what the run began with and what it would go on with.

        Raises:
            TrainingError: they differ.
        """
        if self.read()["data"]["sha256"] != data["sha256"]:
            raise TrainingError(
                f"the data changed since the run began: other clips or labels, or files of other sizes or "
                f"dates, in {data['root']}; put the old files back (copied ones with their dates, as cp -p "
                "does), or begin another run"
            )

    def no_room(self, why: str) -> TrainingError:
        """The error for a disk that is full: what happened, and how to go on."""
        where = "the last checkpoint" if self.state.exists() else "the start"
        return TrainingError(
            f"{why}; free some room, and `diffres train --resume {self.path}` goes on from {where}"
        )

    def update(self, **facts: Any) -> None:
        """Change some facts."""
        self._write({**self.read(), **facts})

    def end_session(self, status: str, **facts: Any) -> None:
        """Say how the session at hand, the last one, ended."""
        held = self.read()
        held["sessions"][-1].update({"ended": now(), **facts})
        self._write({**held, "status": status})

    def begin_session(self, **facts: Any) -> int:
        """Say that a process works on the run now; its number."""
        held = self.read()
        held["sessions"].append({"started": now(), **facts})
        held["status"] = "running"
        self._write(held)
        return len(held["sessions"]) - 1

    def report(self, problems: dict[str, str]) -> None:
        """Write clips.csv: the clips that are not heard, and why."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["clip", "problem"])
        writer.writerows(problems.items())
        write_atomically(self.problems, text.getvalue().encode("utf-8", "surrogateescape"))

    def _write(self, facts: dict[str, Any]) -> None:
        write_json(self.facts, finite(facts))


def finite(value: Any) -> Any:
    """`value` as JSON can hold it: null for what is no finite number, such as d' at an AUC of 1."""
    if isinstance(value, dict):
        return {key: finite(held) for key, held in value.items()}
    if isinstance(value, list):
        return [finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def surroundings(command: Sequence[str]) -> dict[str, Any]:
    """What a run depends on beside recipe and data: command, versions, git state, machine."""
    return {
        "command": list(command),
        "versions": {"diffres": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "git": _git_state(),
        "machine": machine(),
    }


def now() -> str:
    """The time, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _git_state() -> dict[str, Any] | None:
    """Commit of the code that runs, and whether it differs from that; None outside of a checkout."""
    here = Path(__file__).parents[1]
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return {"commit": commit.strip(), "changed": bool(_git(here, "status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
