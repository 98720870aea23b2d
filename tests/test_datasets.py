"""Every dataset, read in its official layout."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import soundfile
from dataset_trees import (
    FAMILIES,
    ROOT,
    SHARED,
    arabic,
    audioset,
    esc50,
    esc50_rows,
    fsd50k,
    nsynth,
    sound,
    speech_commands,
    urbansound8k,
)

from diffres_cli.datasets import SOURCES, Dataset, cache_folder, data_folder, load_dataset
from diffres_cli.errors import DataError, UsageError

SPEECH, MUSIC, BIRD = "/m/09x0r", "/m/04rlf", "/m/015p6"


def labels_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {clip.name: tuple(dataset.classes[label] for label in clip.labels) for clip in dataset.clips}


def splits_of(dataset: Dataset) -> dict[str, str]:
    return {clip.name: clip.split for clip in dataset.clips}


def needs(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{name} is not on this machine")
    return SHARED / name


def test_audioset_finds_ids_in_any_layout(tmp_path):
    root = audioset(
        tmp_path,
        balanced_train=[("-0RWZT-miFs", f"{SPEECH},{MUSIC}"), ("YabcdefghiY", BIRD)],
        unbalanced_train=[("--PJHxphWEs", MUSIC), ("gone-012345", MUSIC)],
        eval=[("0123456789_", SPEECH)],
    )
    sound(root / "balanced_train_segments" / "-0RWZT-miFs.wav")
    sound(root / "audio" / "balanced" / "YYabcdefghiY.flac")
    sound(root / "unbalanced_train_segments" / "part00" / "Y--PJHxphWEs.mp3")
    sound(root / "0123456789_.ogg")
    dataset = load_dataset("audioset", root)
    assert labels_of(dataset) == {
        "-0RWZT-miFs": ("Speech", "Music"),
        "YabcdefghiY": ("Bird",),
        "--PJHxphWEs": ("Music",),
        "0123456789_": ("Speech",),
    }
    assert list(splits_of(dataset).values()) == ["balanced", "balanced", "unbalanced", "test"]
    assert dataset.missing == dataset.missing_of("unbalanced", "test") == ("gone-012345",)
    assert dataset.missing_of("balanced", "test") == ()
    assert dataset.class_ids[:2] == (SPEECH, "/m/05zppz")
    assert dataset.classes[1] == "Male speech, man speaking"
    assert dataset.multi_label


def test_an_audioset_id_that_starts_with_y_keeps_it(tmp_path):
    root = audioset(tmp_path, eval=[("Y0123456789", SPEECH), ("0123456789a", MUSIC)])
    sound(root / "Y0123456789.wav")
    sound(root / "Y0123456789a.wav")
    paths = {clip.name: clip.path.name for clip in load_dataset("audioset", root).clips}
    assert paths == {"Y0123456789": "Y0123456789.wav", "0123456789a": "Y0123456789a.wav"}


def test_audioset_files_may_be_named_with_their_times(tmp_path):
    names = {
        "0123456789a": "Y0123456789a_0.000_10.000.wav",
        "-0RWZT-miFs": "-0RWZT-miFs_420000_430000.ogg",
        "Y0123456789": "Y0123456789_30_40.flac",
        "Y_1_2_34567": "YY_1_2_34567_30.5.wav",
        "012345_1_20": "012345_1_20.wav",
    }
    root = audioset(tmp_path, eval=[(clip, SPEECH) for clip in names])
    for name in names.values():
        sound(root / name)
    dataset = load_dataset("audioset", root)
    assert {clip.name: clip.path.name for clip in dataset.clips} == names
    assert dataset.missing == ()


def test_audioset_clips_are_whole_files(tmp_path):
    root = audioset(tmp_path, eval=[("0123456789a", SPEECH)])
    sound(root / "0123456789a.wav")
    (clip,) = load_dataset("audioset", root).clips
    assert (clip.start, clip.end) == (0.0, None)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_fsd50k(tmp_path, suffix):
    dataset = load_dataset("fsd50k", fsd50k(tmp_path, suffix))
    assert labels_of(dataset) == {
        "FSD50K.dev_audio/64760.wav": ("Sound_1", "Sound_0"),
        "FSD50K.dev_audio/16399.wav": ("Zipper_(clothing)",),
        "FSD50K.dev_audio/16401.wav": ("Sound_7",),
        "FSD50K.eval_audio/37199.wav": ("Sound_3", "Sound_2"),
    }
    assert list(splits_of(dataset).values()) == ["train", "validation", "train", "test"]
    assert all(clip.path.suffix == suffix for clip in dataset.clips)
    assert len(dataset.classes) == 200
    assert dataset.class_ids[199] == "/m/199"
    assert dataset.multi_label


def test_esc50_orders_classes_by_target_and_keeps_folds(tmp_path):
    dataset = load_dataset("esc50", esc50(tmp_path, esc50_rows()[::-1]))
    assert dataset.classes == tuple(f"class {target}" for target in range(50))
    assert dataset.splits == ("fold1", "fold2", "fold3", "fold4", "fold5")
    assert labels_of(dataset)["audio/3-100-A-7.wav"] == ("class 7",)
    assert splits_of(dataset)["audio/3-100-A-7.wav"] == "fold3"
    assert len(dataset.clips) == 100


def test_esc10_is_what_esc50_marks_as_such(tmp_path):
    dataset = load_dataset("esc10", esc50(tmp_path))
    assert dataset.classes == tuple(f"class {target}" for target in range(0, 50, 5))
    assert {clip.labels[0] for clip in dataset.clips} == set(range(10))
    assert len(dataset.clips) == 20


def test_a_tree_of_esc10_alone_is_read_as_esc50_too(tmp_path):
    root = esc50(tmp_path, [row for row in esc50_rows() if row[4]])
    assert load_dataset("esc50", root).classes == load_dataset("esc10", root).classes


@pytest.mark.parametrize("words", [35, 30])
def test_speech_commands_trains_on_what_no_list_names(tmp_path, words):
    root = speech_commands(tmp_path, words)
    (root / "word00" / "1b4c9b89_nohash_0.wav").unlink()
    dataset = load_dataset("speechcommands", root)
    assert dataset.counts == {"train": words, "validation": words - 1, "test": words}
    assert dataset.classes == tuple(f"word{place:02}" for place in range(words))
    assert splits_of(dataset)["word07/0a7c2a8d_nohash_0.wav"] == "train"
    assert labels_of(dataset)["word07/2aca1e72_nohash_0.wav"] == ("word07",)
    assert dataset.missing == ("word00/1b4c9b89_nohash_0.wav",)


def test_speech_commands_in_another_format_has_the_same_names(tmp_path):
    one = load_dataset("speechcommands", speech_commands(tmp_path / "wav"))
    shutil.copytree(tmp_path / "wav", tmp_path / "flac")
    for path in (tmp_path / "flac").glob("word*/*.wav"):
        sound(path.with_suffix(".flac"))
        path.unlink()
    other = load_dataset("speechcommands", tmp_path / "flac")
    assert splits_of(one) == splits_of(other)
    assert not other.missing


def test_nsynth_classes_are_all_families_in_their_order(tmp_path):
    dataset = load_dataset("nsynth", nsynth(tmp_path))
    assert dataset.classes == FAMILIES
    assert dataset.counts == {"train": 11, "validation": 11, "test": 11}
    assert labels_of(dataset)["nsynth-valid/audio/organ_acoustic_valid-060-100.wav"] == ("organ",)


def test_nsynth_with_one_part_only(tmp_path):
    dataset = load_dataset("nsynth", nsynth(tmp_path, ["test"]))
    assert dataset.counts == {"test": 11}
    assert dataset.classes == FAMILIES


def test_arabic(tmp_path):
    dataset = load_dataset("arabic-speechcommands", arabic(tmp_path))
    assert dataset.counts == {"train": 40, "validation": 40, "test": 40}
    assert labels_of(dataset)["dataset/word 11/val_NO_01.wav"] == ("word 11",)


def test_a_listed_clip_may_have_any_audio_extension(tmp_path):
    root = arabic(tmp_path)
    name = "dataset/word 03/test_NO_01"
    sound(root / f"{name}.FLAC")
    (root / f"{name}.wav").unlink()
    dataset = load_dataset("arabic-speechcommands", root)
    (clip,) = [clip for clip in dataset.clips if clip.name == f"{name}.wav"]
    assert clip.path == root / f"{name}.FLAC"
    assert soundfile.info(clip.path).frames == 2000


def test_the_listed_file_itself_comes_first(tmp_path):
    root = arabic(tmp_path)
    sound(root / "dataset/word 03/test_NO_01.flac")
    paths = {clip.name: clip.path for clip in load_dataset("arabic-speechcommands", root).clips}
    assert paths["dataset/word 03/test_NO_01.wav"].suffix == ".wav"


def test_other_files_do_not_stand_in_for_a_clip(tmp_path):
    root = arabic(tmp_path)
    clip = root / "dataset/word 03/test_NO_01.wav"
    clip.rename(clip.with_suffix(".txt"))
    clip.with_suffix(".ogg").mkdir()
    assert load_dataset("arabic-speechcommands", root).missing == ("dataset/word 03/test_NO_01.wav",)


@pytest.mark.parametrize(("name", "make"), [("esc50", esc50), ("fsd50k", fsd50k), ("nsynth", nsynth)])
def test_an_archive_unpacked_into_its_own_folder(tmp_path, name, make):
    direct = load_dataset(name, make(tmp_path / "in" / "archive-master"))
    nested = load_dataset(name, tmp_path / "in")
    assert nested == direct


@pytest.mark.parametrize(
    ("name", "folder", "counts", "classes"),
    [
        ("arabic-speechcommands", "arabic-speech-commands", (7200, 2400, 2400), 40),
        ("esc50", "esc-50-part", (80, 80, 80, 80, 80), 10),
        ("esc10", "esc-50-part", (80, 80, 80, 80, 80), 10),
        ("speechcommands", "speech-commands-part", (205, 44, 51), 30),
        ("nsynth", "nsynth-part", (60,), 11),
        ("folder", "fsdkaggle2018-part", (27, 2, 4), 10),
    ],
)
def test_real_data(name, folder, counts, classes):
    dataset = load_dataset(name, needs(folder))
    assert tuple(dataset.counts.values()) == counts
    assert len(dataset.classes) == classes
    assert all(clip.path.is_file() for clip in dataset.clips)
    if name == "arabic-speechcommands":
        assert dataset.counts == SOURCES[name].splits
        assert not dataset.missing


def test_a_split_by_name_or_an_error_that_lists_them(tmp_path):
    dataset = load_dataset("nsynth", nsynth(tmp_path, ["train", "test"]))
    assert [clip.split for clip in dataset.clips_of("test")] == ["test"] * 11
    with pytest.raises(
        DataError, match=r"no clips in split 'validation'; there are train \(11\), test \(11\)"
    ):
        dataset.clips_of("train", "validation")


def test_urbansound8k_has_ten_folds_in_order_and_classes_by_number(tmp_path):
    dataset = load_dataset("urbansound8k", urbansound8k(tmp_path))
    assert dataset.splits == tuple(f"fold{fold}" for fold in range(1, 11))
    assert dataset.classes == tuple(f"class {label}" for label in range(10))
    clip = "audio/fold7/107-3-0-7.wav"
    assert labels_of(dataset)[clip] == ("class 3",)
    assert splits_of(dataset)[clip] == "fold7"
    assert (dataset.seconds, len(dataset.clips), dataset.missing) == (4.0, 100, ())
    assert sum(SOURCES["urbansound8k"].splits.values()) == 8732


def test_a_misspelt_dataset_gets_the_nearest_name():
    with pytest.raises(UsageError, match="no dataset 'speech-commands'; nearest: 'speechcommands'"):
        load_dataset("speech-commands")


def test_without_a_root_it_lies_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFRES_DATA", str(tmp_path))
    esc50(data_folder("esc50"))
    assert load_dataset("esc10").root == tmp_path / "esc50"
    with pytest.raises(DataError, match=r"no folder .*fsd50k: download with `diffres data download fsd50k`"):
        load_dataset("fsd50k")
    with pytest.raises(DataError, match="see `diffres data info audioset`"):
        load_dataset("audioset")


def test_where_data_lies(monkeypatch):
    monkeypatch.delenv("DIFFRES_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder("esc50") == Path("/cache/diffres/esc50")
    assert cache_folder() == Path("/cache/diffres/waveforms")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert data_folder("esc50") == Path.home() / ".cache/diffres/esc50"
    monkeypatch.setenv("DIFFRES_DATA", "~/data")
    assert data_folder("esc50") == Path.home() / "data/esc50"


@pytest.mark.parametrize("source", [source for source in SOURCES.values() if source.name != "folder"])
def test_every_source_states_its_facts(source):
    assert all((source.title, source.citation, source.licence, source.home, source.splits, source.seconds))
    assert source.archives or source.manual
    names = {archive.name for archive in source.archives}
    assert len(names) == len(source.archives)
    for archive in source.archives:
        assert re.fullmatch(r"|md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", archive.checksum)
        assert archive.url.startswith("https://")
        assert archive.part_of in {"", *names}


@pytest.mark.parametrize("source", [source for source in SOURCES.values() if source.name != "folder"])
def test_the_page_states_the_same_facts(source):
    clips = ", ".join(f"{split} {count}" for split, count in source.splits.items())
    classes = f"{source.classes}, several at once" if source.multi_label else str(source.classes)
    page = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    assert f"| `{source.name}` | {clips} | {classes} | {source.licence} |\n" in page
