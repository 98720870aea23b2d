"""Datasets that a package of somebody else's brings, by import path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import invoke
from dataset_trees import ROOT
from training_runs import TINY, write_clips

from diffres_cli.datasets import find_source, load_dataset
from diffres_cli.errors import UsageError
from diffres_cli.recipes.files import recipe_for

MODULE = """
from diffres_cli.datasets import Source
from diffres_cli.datasets.lists import read_columns
from diffres_cli.datasets.reader import ListedClip, build

def read(root):
    rows = read_columns(root / "clips.csv", "path", "labels", "start", "end", "split")
    clips = [ListedClip(f"{path}#{start}", (label,), split, place, float(start), float(end), path)
             for place, (path, label, start, end, split) in rows]
    return build(SOURCE, root, clips)

SOURCE = Source(name="four", title="Four sounds", citation="Nobody, 2026", licence="CC0", home="",
                splits={"train": 8, "validation": 4, "test": 4}, classes=4, multi_label=False,
                seconds=0.5, read=read)
NUMBER = 3
"""
NAME = "four_sounds.reader:SOURCE"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path of this process and of those it starts."""
    (tmp_path / "lib" / "four_sounds").mkdir(parents=True)
    (tmp_path / "lib" / "four_sounds" / "reader.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'lib'}:{ROOT}")
    return write_clips(tmp_path / "data", 2, test=True).parent


def test_its_name_is_where_it_is_found_again(package: Path) -> None:
    source = find_source(NAME)
    assert (source.name, source.folder, source.classes) == (NAME, "four", 4)
    dataset = load_dataset(NAME, package)
    assert (dataset.name, dataset.counts) == (NAME, dict(source.splits))
    assert recipe_for(NAME).data.seconds == 0.5


def test_every_command_takes_it(package: Path, tmp_path: Path) -> None:
    info, check = (
        invoke("data", verb, NAME, *more) for verb, more in [("info", ()), ("check", _at(package))]
    )
    assert (info.code, check.code) == (0, 0)
    assert "Nobody, 2026" in info.out
    run = tmp_path / "run"
    fields = TINY | {"training.epochs": 1}
    settings = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    trained = invoke("train", "--dataset", NAME, *_at(package), "-o", run, "--device", "cpu", *settings)
    assert trained.code == 0, trained.err
    assert json.loads((run / "run.json").read_text())["data"]["dataset"] == NAME
    tested = invoke("eval", run, "--fps", "25")
    assert tested.code == 0, tested.err
    assert NAME in tested.out


def _at(folder: Path) -> tuple[str, str]:
    return "--data", str(folder)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("four_sounds.reader:GONE", ("GONE",)),
        ("four_sounds.reader:NUMBER", ("Source", "int")),
        ("no_such_package:SOURCE", ("no_such_package", "PYTHONPATH")),
        (":SOURCE", ("package.module:NAME",)),
        ("four_sounds.reader:", ("package.module:NAME",)),
    ],
)
def test_a_path_that_leads_to_no_dataset(package: Path, path: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as error:
        find_source(path)
    assert all(part in str(error.value) for part in (path, *parts))
