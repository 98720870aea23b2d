"""Write docs/training-results.md from run folders that `diffres eval` has tested.

    python scripts/write_training_results.py RUNS [--write]

RUNS holds run folders: arabic-* (Arabic Speech Commands; one setting with several seeds is one row),
esc10-scratch-1 to -5 and esc10-tuned-1 to -5 (ESC-10, one for each fold held out). The commands that made
them are read from the runs and printed with the tables.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffres_cli.recipes.files import read_recipe
from diffres_cli.recipes.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "training-results.md"
NAMES = {"efficientnet_b0": "EfficientNet-B0", "efficientnet_b2": "EfficientNet-B2"}
TEXT = """# What training reached

Written by `python scripts/write_training_results.py RUNS --write` from the folders of the runs below. Test
accuracy in %, by frame rate; where there are several runs, mean ± standard deviation (n - 1). One network
serves all rates of a row. Machine: {machine}.

These runs are older than networks conditioned on the frame rate, which recipes now ask for
([training.md](training.md)). Each run folder, and so each card, names its recipe and commit; at that commit
the commands below repeat it. The shipped `speech-commands-ar` is a newer one, conditioned on the rate and
started from EfficientNet-Lite0's ImageNet weights; `checkpoints/speech-commands-ar/README.md` has its
figures, recipe and commands.

## Arabic Speech Commands

40 words, official splits with speakers apart: 7,200 clips to train on, 2,400 to validate, 2,400 to test
(Ghandoura, Hjabo and Al Dakkak, 2021, CC BY 4.0). The audio is a re-encoding at about 37 kbit/s, and the
published benchmark for the original is about 98 %.

{arabic}

Each was trained by one thread of one core, beside other work. At 25 fps a clip of one second is 25 frames,
one column of the last feature map, and there accuracy falls most.

## ESC-10, from scratch and from audioset-small

Five-fold cross-validation on the ten classes of ESC-10 (K. J. Piczak, CC BY 3.0; 400 clips of 5 s). Both
columns of runs have the same architecture, the same {esc_epochs} epochs and the same recipe; they differ in
`--init audioset-small`, with the BatchNorm statistics that came along kept. The last network of each run is
tested, none is chosen by the fold it is tested on. The weights of audioset-small were adapted on the audio of
folds 1, 2, 3 and 5 without labels.

{esc}

From scratch, 320 clips and {esc_epochs} epochs are too few for this network to learn much; the weights of
audioset-small make the difference.

## A tagger distilled on varied audio

An EfficientNet-B2 trained on soft labels, which is to replace audioset-small where it agrees with its
teacher better, was not made: no GPU could be used.

## Commands

```sh
{commands}
```
"""


@dataclass(frozen=True)
class Run:
    """A run that was tested."""

    folder: Path
    recipe: Recipe
    facts: dict[str, Any]
    accuracy: dict[float, float]  # fps -> %

    @property
    def setting(self) -> tuple[str, int]:
        """What several seeds share."""
        model = self.recipe.model
        name = NAMES.get(model.architecture, f"MobileNetV3, width {model.width:g}")
        start = f"from {model.init}" if model.init else "from scratch"
        return f"{name}, {start}", self.recipe.training.epochs

    @property
    def minutes(self) -> float:
        """All sessions together."""
        return sum(float(session.get("seconds", 0)) for session in self.facts["sessions"]) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    text = report([read(path.parent) for path in sorted(options.runs.glob("*/evaluation.json"))])
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


def read(folder: Path) -> Run:
    evaluation = json.loads((folder / "evaluation.json").read_text("utf-8"))
    accuracy = {rate["fps"]: 100 * rate["metrics"]["accuracy"] for rate in evaluation["rates"]}
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    return Run(folder, read_recipe(folder / "recipe.toml"), facts, accuracy)


def report(runs: list[Run]) -> str:
    arabic = [run for run in runs if run.recipe.data.dataset == "arabic-speechcommands"]
    esc = [run for run in runs if run.recipe.data.dataset == "esc10"]
    machines = {run.facts["machine"] for run in runs}
    made = [shlex.join(run.facts["command"]) for run in runs]
    tested = [f"diffres eval {run.folder}" for run in runs]
    return TEXT.format(
        machine="; ".join(sorted(machines)),
        arabic=arabic_table(arabic),
        esc=esc_table(esc),
        esc_epochs=" or ".join(sorted({str(run.recipe.training.epochs) for run in esc})),
        commands="\n".join(map(portable, [*made, *tested])),
    )


def portable(command: str) -> str:
    """With paths as from a checkout beside the data."""
    return command.replace(f"{ROOT}/", "").replace(f"{ROOT.parent}/", "../")


def arabic_table(runs: list[Run]) -> str:
    groups: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.setting].append(run)
    rates = sorted({fps for run in runs for fps in run.accuracy})
    lines = [header(["network", "epochs", "seeds", *(f"{fps:g} fps" for fps in rates), "minutes a run"])]
    for (name, epochs), members in sorted(groups.items()):
        cells = [spread([run.accuracy[fps] for run in members]) for fps in rates]
        minutes = statistics.mean(run.minutes for run in members)
        lines.append(row([name, str(epochs), str(len(members)), *cells, f"{minutes:.0f}"]))
    return "\n".join(lines)


def esc_table(runs: list[Run]) -> str:
    scratch = {run.recipe.data.fold: run for run in runs if not run.recipe.model.init}
    tuned = {run.recipe.data.fold: run for run in runs if run.recipe.model.init}
    folds = sorted(scratch.keys() & tuned.keys())
    lines = [header(["fps", "from scratch", "from audioset-small", "difference"])]
    for fps in (25.0, 50.0, 100.0):
        columns = [[kind[fold].accuracy[fps] for fold in folds] for kind in (scratch, tuned)]
        gained = [after - before for before, after in zip(*columns, strict=True)]
        lines.append(row([f"{fps:g}", *map(spread, columns), spread(gained)]))
    return "\n".join([*lines, "", f"Folds: {', '.join(map(str, folds))}."])


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def header(cells: list[str]) -> str:
    return row(cells) + "\n|" + "---|" * len(cells)


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
