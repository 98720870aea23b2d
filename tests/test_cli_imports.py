"""What a command loads: its own module, and nothing that only another command needs."""

import numpy as np
import pytest
import soundfile
from repository import loaded_by

from diffres_cli.cli.group import COMMANDS

MODULES = {entry.target.partition(":")[0] for entry in COMMANDS.values()}
LIGHT = {"numpy", "onnxruntime", "soundfile", "soxr"}
HEAVY = {
    "asyncio",
    "email",
    "http",
    "huggingface_hub",
    "matplotlib",
    "multiprocessing",
    "rich",
    "ssl",
    "torch",
}


@pytest.mark.parametrize(
    ("command", "own", "absent"),
    [
        ("--help", set(), HEAVY | LIGHT),
        ("--version", set(), HEAVY | LIGHT),
        ("tag --help", {"tag"}, HEAVY | LIGHT),
        ("tag CLIP", {"tag"}, HEAVY),
        ("tag CLIP -f json", {"tag"}, HEAVY),
        ("viz CLIP -o PICTURE", {"viz"}, HEAVY - {"email", "matplotlib"}),
        ("data", {"data"}, HEAVY),
        ("models", {"models"}, {"matplotlib", "multiprocessing", "torch"}),  # asks the hub's cache
    ],
)
def test_a_command_loads_only_what_it_needs(command, own, absent, tmp_path):
    files = {"CLIP": str(tmp_path / "clip.wav"), "PICTURE": str(tmp_path / "picture.png")}
    soundfile.write(files["CLIP"], np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    words = [files.get(word, word) for word in command.split()]
    others = {f"diffres_cli.cli.{name}" for name in MODULES - own - {"config"}}
    loaded = loaded_by(f"from diffres_cli.cli.main import run; assert run({words}) == 0", absent | others)
    assert loaded == set()
