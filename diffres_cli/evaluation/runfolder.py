"""The folder of a training run: its recipe, facts, sessions, weights and evaluation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from diffres_cli.checkpoint.find import WEIGHTS_NAME
from diffres_cli.errors import ModelError, TrainingError, UsageError
from diffres_cli.files import make_folder, read_json, write_atomically, write_json
from diffres_cli.recipes.files import from_plain, read_recipe, to_toml
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.text import to_csv

FINISHED = "finished"


class RunFolder:
    """A run on disk.

    Attributes:
        weights: the best network so far, with its card. checkpoint: all that Lightning needs to resume.
        recipe: the recipe in effect. facts: when, where, with what, and the run's status.
        problems: the clips that are not used, and why. evaluation: what the best network scored.
        lock: held by the process that trains.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = path / WEIGHTS_NAME
        self.checkpoint = path / "last.safetensors"
        self.recipe = path / "recipe.toml"
        self.facts = path / "run.json"
        self.problems = path / "clips.csv"
        self.evaluation = path / "evaluation.json"
        self.lock = path / ".lock"

    def create(self, recipe: Recipe, facts: Mapping[str, Any]) -> None:
        """Make the folder. run.json comes first: it is enough to resume a run that is killed here.

        Raises:
            UsageError: it holds something. OutputError: it cannot be written.
        """
        self.check_free()
        make_folder(self.path)
        self._write_facts({"recipe": recipe.plain(), **facts, "sessions": [], "status": "decoding"})
        write_atomically(self.recipe, to_toml(recipe).encode())

    def discard(self) -> None:
        """Remove what `create` made, when the data turns out to be unusable."""
        for path in (self.recipe, self.facts, self.lock):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            self.path.rmdir()

    def check_free(self) -> None:
        """Raises UsageError if the folder holds something."""
        if self.path.is_dir() and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path}: is not empty; name another folder, or `diffres train --resume {self.path}`"
            )
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file; name a folder")

    def check_trained(self) -> None:
        """Raises UsageError if there is no run, or it has no model yet."""
        if not self.recipe.is_file():
            found = f"it holds no {self.recipe.name}" if self.path.is_dir() else "no such folder"
            raise UsageError(
                f"{self.path}: not a training run, {found}: give what `diffres train` wrote, or a model"
            )
        if not self.weights.exists():
            raise UsageError(
                f"{self.path}: no {self.weights.name} yet: the first validation writes it; "
                f"`diffres train --resume {self.path}` resumes the run"
            )

    def read_facts(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            UsageError: there is none, or it is damaged.
        """
        if not self.facts.exists():
            raise UsageError(
                f"{self.path}: no run of diffres train, it holds no {self.facts.name}: name the folder of one"
            )
        return read_json(self.facts)

    def known_facts(self) -> dict[str, Any]:
        """The contents of run.json; {} where it cannot be read."""
        with suppress(UsageError):
            return self.read_facts()
        return {}

    def unchanged_recipe(self) -> Recipe:
        """The recipe the run began with; recipe.toml is written again where it is not there.

        Raises:
            TrainingError: it was edited since. UsageError: no run, or no recipe.
        """
        facts = self.read_facts()
        if not {"recipe", "data", "sessions"} <= facts.keys():
            raise UsageError(f"{self.facts}: damaged: it lacks the recipe, data or sessions of the run")
        recipe = from_plain(facts["recipe"], self.facts)
        if not self.recipe.exists():
            write_atomically(self.recipe, to_toml(recipe).encode())
        then, now = recipe.flat(), read_recipe(self.recipe).flat()
        changed = [f"{name} is {now[name]!r}, was {old!r}" for name, old in then.items() if now[name] != old]
        if changed:
            raise TrainingError(
                f"{self.recipe} was changed since the run began: {'; '.join(changed)}: undo that, or start "
                f"another run with this recipe"
            )
        return recipe

    def check_same_data(self, data: Mapping[str, Any]) -> None:
        """Compare fingerprints of what the run began with and what it would resume with.

        Raises:
            TrainingError: they differ.
        """
        if self.read_facts()["data"]["sha256"] != data["sha256"]:
            raise TrainingError(
                f"the data changed since the run began: other clips or labels, or files of other sizes or "
                f"dates, in {data['root']}; put the old files back (copied ones with their dates, as cp -p "
                "does), or start another run"
            )

    def disk_full(self, why: str) -> TrainingError:
        """The error for a disk that is full: what happened, and how to resume."""
        where = "the last checkpoint" if self.checkpoint.exists() else "the start"
        return TrainingError(
            f"{why}; free some room, and `diffres train --resume {self.path}` resumes from {where}"
        )

    def update_facts(self, **facts: Any) -> None:
        """Change some facts."""
        self._write_facts({**self.read_facts(), **facts})

    def start_session(self, **facts: Any) -> int:
        """Note that a process trains now; the session's number."""
        sessions = self.read_facts()["sessions"]
        self.update_facts(sessions=[*sessions, {"started": _now(), **facts}], status="running")
        return len(sessions)

    def end_session(self, status: str, **facts: Any) -> None:
        """Note how the last session ended."""
        *before, last = self.read_facts()["sessions"]
        self.update_facts(sessions=[*before, {**last, "ended": _now(), **facts}], status=status)

    def write_problems(self, problems: Mapping[str, str]) -> None:
        """Write clips.csv: the clips that are not used, and why."""
        text = to_csv([("clip", "problem"), *problems.items()])
        write_atomically(self.problems, text.encode("utf-8", "surrogateescape"))

    def write_evaluation(self, found: Mapping[str, Any]) -> None:
        """Keep what the run scored.

        Raises:
            OutputError: it cannot be written.
        """
        write_json(self.evaluation, found)

    def read_evaluation(self) -> dict[str, Any] | None:
        """What `write_evaluation` wrote, when it is of the model that is there now; None without.

        Raises:
            ModelError: it is damaged, or of an older model.
        """
        advice = f": run `diffres eval {self.path}` again"
        if not self.evaluation.exists():
            return None
        found = read_json(self.evaluation, ModelError, advice)
        if "sha256" not in found:
            raise ModelError(f"{self.evaluation}: it states no sha256{advice}")
        if found["sha256"] != sha256(self.weights):
            raise ModelError(f"{self.evaluation}: of an older {self.weights.name}{advice}")
        return found

    def _write_facts(self, facts: dict[str, Any]) -> None:
        write_json(self.facts, finite(facts))


def finite(value: Any) -> Any:
    """`value` as JSON can hold it: null for what is no finite number, such as d' at an AUC of 1."""
    if isinstance(value, dict):
        return {key: finite(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
