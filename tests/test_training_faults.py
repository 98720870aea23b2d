"""Runs of `diffres train` that fail or are refused, and what they say and leave."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command import invoke, spawn
from safetensors.torch import load_file
from training_runs import facts, options, write_clips

from diffres_cli.recipes.recipe import Training
from diffres_cli.training.fit import _out_of_memory

pytestmark = pytest.mark.usefixtures("one_cache")


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(clips: Path, tmp_path: Path) -> None:
    result = invoke(*options(clips, tmp_path / "run", optimizer__lr=1e30, training__epochs=4))
    assert result.code == 3
    last = result.err.splitlines()[-1]
    assert "the importance became nan in epoch 1" in last
    assert "optimizer.lr" in last
    assert facts(tmp_path / "run")["status"] == "stopped"


def test_a_loss_that_is_no_number_leaves_the_checkpoint_before(clips: Path, tmp_path: Path) -> None:
    # The first step is taken from sound weights, and what comes of it is large but finite.
    changes = {"optimizer__lr": 1e6, "training__checkpoint_every": 1, "training__epochs": 4}
    result = invoke(*options(clips, tmp_path / "run", **changes))
    assert (result.code, "no checkpoint was made of it" in result.err) == (3, True)
    kept = load_file(tmp_path / "run" / "last.safetensors")
    assert all(values.isfinite().all() for values in kept.values())
    again = invoke("train", "--resume", tmp_path / "run")  # it is one a run goes on from, to the same end
    assert (again.code, again.err.splitlines()[-1]) == (3, result.err.splitlines()[-1])


def test_out_of_memory_names_the_knob(clips: Path, tmp_path: Path) -> None:
    # Half a GB more than the program has once all is loaded; a batch of 16 clips of 300 s takes more.
    limit = (
        "import resource, torch, lightning.pytorch, torchvision; "
        "pages = int(open('/proc/self/statm').read().split()[0]); "
        "most = pages * resource.getpagesize() + 2**29; "
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))"
    )
    much = {"data__seconds": 300.0, "training__batch_size": 15}
    result = spawn(*options(clips, tmp_path / "run", **much), code=limit)
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        "diffres: out of memory with training.batch_size=15 and training.accumulate=1: start another run "
        "with training.accumulate=3, which takes the batch in smaller parts, or a lower training.batch_size"
    )
    assert facts(tmp_path / "run")["status"] == "stopped"


def test_the_knob_is_one_that_can_be_turned() -> None:
    words = {
        (32, 1, 1): "training.accumulate=2,",
        (22, 2, 1): "training.accumulate=11,",
        (12, 1, 2): "training.accumulate=2,",
        (22, 1, 4): "training.accumulate=2,",
        (6, 2, 3): "with a lower training.batch_size",
        (1, 1, 1): "with a lower data.seconds",
    }
    for (size, parts, world_size), told in words.items():
        assert told in _out_of_memory(Training(batch_size=size, accumulate=parts), world_size)


def test_clips_that_cannot_be_heard_are_reported_and_stop_a_run_above_a_share(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "data")
    with clips.open("a") as table:
        table.write("gone.wav,rain,0,0.5,train\nnoise.wav,rain,0,0.5,train\n")
    (tmp_path / "data" / "noise.wav").write_bytes(b"no audio at all")
    refused = invoke(*options(clips, tmp_path / "run", data__maximum_missing=0.03))
    assert refused.code == 2
    assert "2 of 42 clips are missing or cannot be decoded" in refused.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    assert invoke(*options(clips, tmp_path / "run", data__maximum_missing=0.1, training__epochs=1)).code == 0
    with (tmp_path / "run" / "clips.csv").open() as file:
        problems = {
            row["clip"].partition("#")[0].partition(" ")[0]: row["problem"] for row in csv.DictReader(file)
        }
    assert {name.split("@")[0].split(":")[0] for name in problems} == {"gone.wav", "noise.wav"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__train": ["training"]}, "no clips in split 'training'; there are train (32), validation (8)"),
        ({"data__validation": []}, 'name some, such as data.validation=["validation"]'),
        ({"data__fold": 2}, "has no folds but train, validation"),
        ({"training__accumulate": 3}, "training.accumulate is 3, must divide batch_size (8)"),
        (
            {"model__architecture": "efficientnet_b9"},
            "model.architecture is efficientnet_b9, must be efficientnet_b0",
        ),
    ],
)
def test_runs_that_cannot_be_are_refused(
    changes: dict[str, object], words: str, clips: Path, tmp_path: Path
) -> None:
    result = invoke(*options(clips, tmp_path / "run", **changes))
    assert result.code == 2
    assert words in result.err.splitlines()[-1]


def test_what_cannot_be_shared_out_is_refused(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "data")
    rows = clips.read_text().splitlines()
    held_out = [row for row in rows if row.endswith("validation")]
    clips.write_text("\n".join(row for row in rows if row not in held_out[1:]) + "\n")
    result = invoke(*options(clips, tmp_path / "run"), "--devices", "2")
    assert (result.code, result.complaint) == (2, "1 clips to validate on are too few for 2 processes")
