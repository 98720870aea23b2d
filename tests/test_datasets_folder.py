"""Anybody's own clips: label folders and tables."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import pyarrow
import pytest
from audio_files import noise, write
from dataset_trees import sound, table
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from diffres_cli.datasets import Dataset, load_dataset
from diffres_cli.datasets.check import find_problems
from diffres_cli.datasets.cliptable import split_of
from diffres_cli.datasets.folder import read
from diffres_cli.errors import DataError


def named(dataset: Dataset) -> dict[str, tuple[tuple[str, ...], str]]:
    return {
        clip.name: (tuple(dataset.classes[label] for label in clip.labels), clip.split)
        for clip in dataset.clips
    }


def sounds(root: Path, *names: str) -> Path:
    for name in names:
        sound(root / name)
    return root


def test_folders_are_labels(tmp_path):
    root = sounds(tmp_path, "rain/1.wav", "rain/roof/2.flac", "wind/1.ogg", ".hidden/1.wav", "_noise_/1.wav")
    (root / "rain" / "notes.txt").write_text("wet")
    sound(root / "wind" / ".trash.wav")
    dataset = load_dataset("folder", root)
    assert dataset.classes == ("rain", "wind")
    labels = {name: labels for name, (labels, _) in named(dataset).items()}
    assert labels == {"rain/1.wav": ("rain",), "rain/roof/2.flac": ("rain",), "wind/1.ogg": ("wind",)}
    assert all(clip.path == root / clip.name for clip in dataset.clips)
    assert not dataset.multi_label


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "dev"])
def test_folders_of_splits_with_folders_of_labels(tmp_path, validation):
    root = sounds(
        tmp_path, "train/rain/1.wav", "train/wind/2.wav", f"{validation}/rain/3.wav", "eval/wind/4.wav"
    )
    assert named(load_dataset("folder", root)) == {
        "train/rain/1.wav": (("rain",), "train"),
        "train/wind/2.wav": (("wind",), "train"),
        f"{validation}/rain/3.wav": (("rain",), "validation"),
        "eval/wind/4.wav": (("wind",), "test"),
    }


def test_a_label_called_train_beside_others_is_a_label(tmp_path):
    dataset = load_dataset("folder", sounds(tmp_path, "train/1.wav", "bus/2.wav"))
    assert dataset.classes == ("bus", "train")


def test_a_linked_folder_counts_and_a_loop_ends(tmp_path):
    root = sounds(tmp_path / "data", "rain/1.wav").parent / "data"
    sounds(tmp_path / "elsewhere", "2.wav")
    (root / "wind").symlink_to(tmp_path / "elsewhere")
    (root / "rain" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "rain" / "loop").symlink_to(root / "rain")
    assert set(named(load_dataset("folder", root))) == {"rain/1.wav", "rain/more/2.wav", "wind/2.wav"}


def test_without_splits_a_tenth_each_is_held_out_by_name_alone():
    names = [f"rain/{number}.wav" for number in range(10_000)]
    shares = {
        split: sum(map(split.__eq__, map(split_of, names))) for split in ("train", "validation", "test")
    }
    assert shares["train"] + shares["validation"] + shares["test"] == 10_000
    assert abs(shares["validation"] - 1000) < 100  # 3 σ
    assert abs(shares["test"] - 1000) < 100
    assert [split_of(name.replace(".wav", ".flac")) for name in names] == [split_of(name) for name in names]


def test_a_split_does_not_depend_on_what_else_is_there(tmp_path):
    few = named(load_dataset("folder", sounds(tmp_path, *(f"rain/{number}.wav" for number in range(20)))))
    more = named(load_dataset("folder", sounds(tmp_path, *(f"rain/{number}.wav" for number in range(40)))))
    assert few.items() <= more.items()
    assert {split for _, split in more.values()} == {"train", "validation", "test"}


def test_a_table_of_several_labels(tmp_path):
    root = sounds(tmp_path, "a.wav", "deep/b.flac", "c.ogg", "d.wav")
    rows = [
        ("path", "labels", "split"),
        ("a.wav", "rain;wind", "train"),
        ("deep/b.wav", "wind|thunder", "val"),
    ]
    rows += [("./c.wav", "rain", "test"), ("d.wav", "", "train"), ("gone.wav", "rain", "train")]
    table(root / "clips.csv", rows)
    dataset = load_dataset("folder", root)
    assert named(dataset) == {
        "a.wav": (("rain", "wind"), "train"),
        "deep/b.wav": (("wind", "thunder"), "validation"),
        "c.wav": (("rain",), "test"),
        "d.wav": ((), "train"),
    }
    assert dataset.classes == ("rain", "thunder", "wind")
    assert dataset.missing == ("gone.wav",)
    assert dataset.multi_label


@pytest.mark.parametrize(("ends", "seconds"), [(["1", "1.5"], 1.5), (["1", ""], 10), (["1", "70"], 10)])
def test_clips_are_as_long_as_a_table_says(ends, seconds, tmp_path):
    rows = [f"{name}.wav,rain,0,{end}" for name, end in zip("ab", ends, strict=True)]
    for name in "ab":
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "clips.csv").write_text("\n".join(["path,labels,start,end", *rows, ""]))
    assert load_dataset("folder", tmp_path).seconds == seconds


def test_one_label_each_is_single_label(tmp_path):
    root = sounds(tmp_path, "a.wav", "b.wav")
    table(root / "mine.csv", [("labels", "extra", "path"), ("rain", "", "a.wav"), ("wind", "", "b.wav")])
    assert not load_dataset("folder", root / "mine.csv").multi_label


def test_excerpts_of_one_file_stay_in_one_split(tmp_path):
    root = sounds(tmp_path, "long.wav")
    rows = [
        ("path", "labels", "start", "end"),
        ("long.wav", "rain", "0", "2.5"),
        ("long.wav", "wind", "2.5", ""),
    ]
    table(root / "clips.csv", rows)
    first, second = load_dataset("folder", root).clips
    assert (first.start, first.end, second.start, second.end) == (0.0, 2.5, 2.5, None)
    assert (first.name, second.name) == ("long.wav#t=0,2.5", "long.wav#t=2.5,")
    assert first.path == second.path == root / "long.wav"
    assert first.split == second.split == split_of("long.wav")


@pytest.mark.parametrize(("stored", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_in_two_forms(tmp_path, stored, listed):
    names = ["chaîne/à.wav", "chaîne/ば.flac", "été.ogg"]
    for name in names:
        sound(tmp_path / normalize(stored, name))
    rows = [(normalize(listed, name), "rain") for name in names]
    dataset = read(table(tmp_path / "clips.csv", [("path", "labels"), *rows]))
    assert dataset.missing == ()
    assert [clip.path.relative_to(tmp_path).as_posix() for clip in dataset.clips] == [
        normalize(stored, name) for name in names
    ]
    assert {split_of(normalize(form, names[0])) for form in ("NFC", "NFD")} == {split_of(names[0])}


def test_folds_are_splits(tmp_path):
    root = sounds(tmp_path, "a.wav", "b.wav")
    table(root / "clips.csv", [("path", "labels", "split"), ("a.wav", "x", "1"), ("b.wav", "x", "fold2")])
    assert load_dataset("folder", root).splits == ("fold1", "fold2")


def test_parquet_with_a_list_column(tmp_path):
    root = sounds(tmp_path, "a.wav", "b.wav")
    columns = {
        "path": ["a.wav", "b.wav"],
        "labels": [["rain", "strong; wind"], ["rain"]],
        "start": [None, 0.5],
        "split": ["train", "test"],
    }
    parquet.write_table(pyarrow.table(columns), root / "clips.parquet")
    dataset = load_dataset("folder", root)
    assert named(dataset) == {
        "a.wav": (("rain", "strong; wind"), "train"),
        "b.wav#t=0.5,": (("rain",), "test"),
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_tables_as_spreadsheets_write_them(tmp_path, encoding, newline):
    sound(tmp_path / "été.wav")
    text = newline.join(["Path,Labels", '"été.wav","café ; pluie"', "", ""])
    (tmp_path / "clips.csv").write_bytes(text.encode(encoding))
    assert named(load_dataset("folder", tmp_path))["été.wav"][0] == ("café", "pluie")


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=";|/\\.:"), min_size=1)


@given(rows=st.dictionaries(PRINTABLE, st.lists(PRINTABLE, min_size=1, unique=True), min_size=1))
def test_what_is_written_to_a_table_is_read_from_it(rows, tmp_path_factory):
    root = tmp_path_factory.mktemp("table")
    cells = [(f"{name}.wav", ";".join(labels)) for name, labels in rows.items()]
    table(root / "mine.csv", [("path", "labels"), *cells])
    for path, _ in cells:
        try:
            (root / path).touch()
        except OSError:  # the name is longer than this file system allows
            return
    dataset = read(root / "mine.csv")
    assert {name: labels for name, (labels, _) in named(dataset).items()} == {
        f"{name}.wav": tuple(labels) for name, labels in rows.items()
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["path,labels", "a.wav,rain", "../b.wav,rain"], "line 3: the path '../b.wav' leaves"),
        (["path,labels", "/etc/a.wav,rain"], "line 2: the path '/etc/a.wav' leaves"),
        (["path,labels", "C:\\a.wav,rain"], r"line 2: the path 'C:\\a.wav' leaves"),
        (["path,labels", "x/..\\..\\a.wav,rain"], r"line 2: the path 'x/..\\..\\a.wav' leaves"),
        (["path,labels", ",rain"], "line 2: expected the path of a file, found ''"),
        (
            ["file,label", "a.wav,rain"],
            "expected the columns path, labels (optional: start, end, split); found file",
        ),
        (["path,labels", "a.wav"], "line 2: expected 2 cells, found 1"),
        (["path,labels"], "no rows"),
        ([""], "found an empty file"),
        (["path,labels", "a.wav,"], "line 2: expected one label, found none"),
        (
            ["path,labels,split", "a.wav,rain,holdout"],
            "line 2: expected the split train, validation, test, or fold1",
        ),
        (["path,labels,start", "a.wav,rain,-1"], "line 2: expected start in seconds from 0, found '-1'"),
        (["path,labels,end", "a.wav,rain,soon"], "line 2: expected end in seconds from 0, found 'soon'"),
        (["path,labels,end", "a.wav,rain,nan"], "line 2: expected end in seconds from 0, found 'nan'"),
        (
            ["path,labels,start,end", "a.wav,rain,2,1"],
            "line 2: expected an end after the start, found 2 to 1",
        ),
        (["path,labels", "a.wav,rain", "a.wav,wind"], "a.wav is listed twice"),
        (["path,labels", "gone.wav,rain"], "none of the 1 listed clips has a file, gone.wav for one"),
    ],
)
def test_a_bad_table_says_where(tmp_path, rows, message):
    sound(tmp_path / "a.wav")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError) as error:
        load_dataset("folder", tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_clip_without_a_label_beside_others_with_one(tmp_path):
    sound(tmp_path / "a.wav")
    table(tmp_path / "clips.csv", [("path", "labels"), ("a.wav", "rain"), ("b.wav", ";")])
    with pytest.raises(DataError, match="line 3: expected one label, found none"):
        read(tmp_path)


def test_a_damaged_parquet_table(tmp_path):
    (tmp_path / "clips.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match=r"clips\.parquet: cannot be read as Parquet"):
        load_dataset("folder", tmp_path)


def test_a_folder_without_audio_says_what_was_expected(tmp_path):
    (tmp_path / "labels.csv").write_text(json.dumps({}))
    with pytest.raises(DataError, match=r"expected a sub-folder per label.*found labels\.csv"):
        load_dataset("folder", tmp_path)


def test_a_folder_of_ones_own_has_no_place_of_its_own(tmp_path):
    with pytest.raises(DataError, match="is yours"):
        load_dataset("folder")
    with pytest.raises(DataError, match="no such folder or table"):
        load_dataset("folder", tmp_path / "gone")


def test_channels_of_opposite_phase_make_a_clip_suspect_and_not_damaged(tmp_path):
    (tmp_path / "hum").mkdir()
    write(tmp_path / "hum" / "a.wav", noise(1) * [1, -1])
    dataset = load_dataset("folder", tmp_path)
    assert list(find_problems(dataset)) == []
    [found] = find_problems(dataset, deep=True)
    assert found.kind == "suspect"
    assert "channels cancel each other" in found.reason
