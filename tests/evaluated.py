"""Something to evaluate: labelled stretches of the example sounds, and a small network that knows them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path

import torch

from diffres_cli.checkpoint.find import find_model
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network, save_network

EXAMPLES = Path(__file__).parent.parent / "examples"
CLASSES = {
    "bell": ("church_bell.ogg", "Church bell"),
    "bird": ("birdsong.flac", "Bird"),
    "phone": ("telephone.ogg", "Telephone bell ringing"),
    "rain": ("rain.ogg", "Rain on surface"),
    "siren": ("siren.ogg", "Siren"),
    "speech": ("spoken_words.flac", "Speech"),
}
LABELS = tuple(sorted(CLASSES))
STRETCHES = ((0.0, 2.0), (1.0, 3.0), (0.5, 3.75), (0.0, None))
CLIPS = len(CLASSES) * len(STRETCHES)
WINDOW = 2.5  # seconds: some clips are shorter, some need two or three


def write_dataset(root: Path, *, splits: Sequence[str] = ("test",)) -> Path:
    """A folder for `--dataset folder`: links to the example sounds and a table of stretches of them.

    Each class's stretches go by turns into `splits`, and one more is for validation.
    """
    root.mkdir(parents=True)
    rows = []
    for label, (file, _) in CLASSES.items():
        (root / file).symlink_to(EXAMPLES / file)
        turns = zip(STRETCHES, cycle(splits), strict=False)
        rows += [(file, label, start, end or "", split) for (start, end), split in turns]
        rows.append((file, label, 2.0, 3.0, "validation"))
    with (root / "clips.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("path", "labels", "start", "end", "split"), *rows])
    return root


def write_map(path: Path) -> Path:
    """Which AudioSet labels mean which class."""
    rows = [(label, name) for label, (_, name) in CLASSES.items()]
    rows += [("rain", "Rain"), ("bird", "/m/020bb7")]  # a second label, and one by its id
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("label", "model_label"), *rows])
    return path


@cache
def hearing_network() -> DiffResNetwork:
    """The shipped weights with only the outputs of our classes, made for windows of `WINDOW` seconds."""
    source = load_network(find_model("audioset-small", weights=True))
    card = replace(
        source.card, name="small", classes=LABELS, class_ids=LABELS, multi_label=False,
        sample_duration=WINDOW, license="MIT", trained_on="the example sounds", derived_from="audioset-small",
    )  # fmt: skip
    network = DiffResNetwork(card)
    rows = [source.card.classes.index(CLASSES[label][1]) for label in LABELS]
    state = source.state_dict()
    state |= {name: state[name][rows] for name in state if name.startswith("backbone.classifier.3.")}
    network.load_state_dict(state)
    return network.eval()


def write_run(folder: Path, data: Path, *, noise: float = 0.0, name: str = "run", fold: int = 0) -> Path:
    """A training run's folder, as `diffres train` leaves it. `noise`: added to the last layer's weights."""
    run = folder / name
    run.mkdir(parents=True)
    network = DiffResNetwork(hearing_network().card)
    network.load_state_dict(hearing_network().state_dict())
    torch.manual_seed(len(name))
    with torch.no_grad():
        weight = network.backbone.classifier[-1].weight
        weight += noise * torch.randn_like(weight)
    save_network(network, run / "weights.safetensors")
    (run / "recipe.toml").write_text(
        f'[data]\ndataset = "folder"\nroot = "{data}"\ntest = ["test"]\nfold = {fold}\nseconds = {WINDOW}\n'
        "maximum_missing = 0.1\n\n[optimizer]\nlr = 0.00025\n"
    )
    facts = {
        "command": ["diffres", "train", "--dataset", "folder"],
        "data": {"clips": {"train": 12, "validation": 6}, "sha256": "5eed"},
        "git": {"commit": "c0ffee", "changed": True},
        "versions": {"diffres": "0.1.0"},
        "machine": "x86_64, Linux",
    }
    (run / "run.json").write_text(json.dumps(facts))
    return run
