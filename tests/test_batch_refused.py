"""Batch runs that cannot end well are refused before anything is tagged or made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from batch_runs import clips
from command import invoke
from places import open_to_all, unprivileged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips(tmp_path / "in", 3)
    clips(tmp_path / "in" / "deep" / "er", 2)
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-j", "0"], "--jobs 0: must be at least 1"),
        (["--shard", "4/3"], "--shard 4/3: expected K/N"),
        (["-f", "mp3"], "--format mp3: choose table, json"),
        (["--combined", "all.TextGrid"], "a file describes one recording"),
        (["-o", "one.json", "--combined", "all.json"], "--output one.json: with --combined, this is"),
        (["--combined", "in/000.wav", "-f", "json"], "--combined in/000.wav: this is one of the recordings"),
        (["--combined", "all.mp3"], "--combined all.mp3: choose a suffix of .txt, .json"),
        (["--combined", "in/deep", "-f", "csv"], "--combined in/deep: this is a folder"),
        (["--combined", "/dev/full", "-f", "csv"], "--combined /dev/full: not a regular file"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    folder, tmp_path, monkeypatch, options, complaint
):
    monkeypatch.chdir(tmp_path)
    before = (folder / "000.wav").read_bytes()
    where = [] if "--combined" in options else ["-o", "out"]
    result = invoke("tag", "in", *where, *options)
    assert result.code == 2
    assert complaint in result.complaint
    assert os.listdir() == ["in"]  # noqa: PTH208
    assert (folder / "000.wav").read_bytes() == before


def test_a_combined_file_that_may_not_be_replaced_is_refused_before_anything_is_tagged(folder, tmp_path):
    open_to_all(tmp_path)
    (tmp_path / "all.csv").write_text("theirs")
    (tmp_path / "all.csv").chmod(0o444)
    with unprivileged():
        result = invoke("tag", folder, "--combined", tmp_path / "all.csv")
    assert result.code == 3
    assert "all.csv: cannot be written: Permission denied" in result.complaint
    assert not (tmp_path / "all.csv.diffres").exists()
