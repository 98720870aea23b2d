"""Folders and lists that are not what they should be: the error says what was expected and what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from audio_files import python
from dataset_trees import arabic, audioset, esc50, esc50_rows, fsd50k, nsynth, sound, speech_commands, table
from hypothesis import example, given
from hypothesis import strategies as st

from diffres_cli.datasets import SOURCES, load_dataset
from diffres_cli.datasets.download.download import STAGE
from diffres_cli.datasets.folders import Listing
from diffres_cli.datasets.lists import read_columns, read_rows, relative
from diffres_cli.errors import DataError

SPEECH = "/m/09x0r"


def failure(name: str, root: Path) -> str:
    with pytest.raises(DataError) as error:
        load_dataset(name, root)
    message = str(error.value)
    assert "\n" not in message
    return message


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "folder"])
def test_a_wrong_folder_says_what_was_expected_and_found(tmp_path, name):
    for found in ("IMG_1.jpg", "IMG_2.jpg", "holiday"):
        (tmp_path / found).touch()
    message = failure(name, tmp_path)
    assert re.search(
        rf"^expected .*\.(csv|txt|json).* in {tmp_path}, found IMG_1\.jpg, IMG_2\.jpg, holiday", message
    )
    assert re.search(rf"`diffres data (download|info) {name}`, or choose its data folder$", message)


def test_one_part_of_nsynth_would_do_and_the_message_says_so(tmp_path):
    parts = ", ".join(f"nsynth-{part}/examples.json" for part in ("train", "valid", "test"))
    assert failure("nsynth", tmp_path).startswith(f"expected one of {parts} in {tmp_path}, found nothing: ")


def test_a_file_is_no_dataset(tmp_path):
    assert "found nothing to list (Not a directory)" in failure("esc50", sound(tmp_path / "rain.wav"))


def test_an_empty_folder_is_called_so(tmp_path):
    assert f"in {tmp_path}, found nothing: download" in failure("esc50", tmp_path)


MAKERS = {"fsd50k": fsd50k, "esc50": esc50, "speechcommands": speech_commands, "nsynth": nsynth}
DEV, EVAL, VOCABULARY = (f"FSD50K.ground_truth/{name}.csv" for name in ("dev", "eval", "vocabulary"))
ESC, NOTES, WORDS = "meta/esc50.csv", "nsynth-test/examples.json", "testing_list.txt"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("fsd50k", DEV, "Sound_7", "Sond_7", "line 4: no label 'Sond_7' in"),
        ("fsd50k", EVAL, "Sound_3", "", "line 2: no label '' in"),
        ("fsd50k", DEV, ",val", ",dev", "line 3: expected the split train or val, found 'dev'"),
        ("fsd50k", DEV, "64760", "../64760/..", "line 2: the path"),
        ("fsd50k", VOCABULARY, "7,Sound_7,", "8,Sound_7,", "line 8: expected 7,LABEL,ID"),
        ("fsd50k", VOCABULARY, "Sound_7,", "Sound_8,", "the label 'Sound_8' is there twice"),
        ("esc50", ESC, "1-100-A-0.wav,1,", "1-100-A-0.wav,6,", "line 2: expected a fold from 1 to 5"),
        (
            "esc50",
            ESC,
            "A-0.wav,1,0,",
            "A-0.wav,1,0.5,",
            "line 2: expected the number of a class, found '0.5'",
        ),
        ("esc50", ESC, "A-9.wav,5,9,class 9", "A-9.wav,5,4,dog", "class 4 is dog, before it was class 4"),
        ("esc50", ESC, "1-100-A-0.wav", "../../1.wav", "line 2: the path 'audio/../../1.wav' leaves"),
        ("esc50", ESC, "1-200-A-0.wav", "1-100-A-0.wav", "audio/1-100-A-0.wav is listed twice"),
        ("esc50", ESC, "category", "klass", "target, category, esc10; found filename, fold, target, klass"),
        ("esc50", ESC, ",class 7,", ",", "line 9: expected 7 cells, found 6"),
        ("speechcommands", WORDS, "word00/", "word00_", "line 1: expected WORD/FILE.wav"),
        ("nsynth", NOTES, '"vocal"', '"vocals"', "no label 'vocals' in"),
        ("nsynth", NOTES, "instrument_family_str", "family", "has no instrument_family_str"),
        ("nsynth", NOTES, "}}", "}", "not JSON"),
    ],
)
def test_a_list_with_one_thing_wrong(tmp_path, name, file, old, new, message):
    replace(MAKERS[name](tmp_path) / file, old, new)
    found = failure(name, tmp_path)
    assert message in found
    assert str(tmp_path) in found


def test_a_word_written_two_ways_is_one_class_too_many(tmp_path):
    replace(arabic(tmp_path) / "val.csv", ",word 03", ",word 3")
    assert "expected the 40 classes of arabic-speechcommands, found 41" in failure(
        "arabic-speechcommands", tmp_path
    )


def test_an_unknown_label_comes_with_the_nearest(tmp_path):
    replace(fsd50k(tmp_path) / "FSD50K.ground_truth/dev.csv", "Zipper_(clothing)", "Zipper")
    assert failure("fsd50k", tmp_path).endswith("vocabulary.csv; nearest: 'Zipper_(clothing)'")


def test_an_unknown_audioset_label(tmp_path):
    root = audioset(tmp_path, eval=[("0123456789a", SPEECH), ("0123456789b", "/m/09x0rr")])
    message = failure("audioset", root)
    assert "eval_segments.csv, line 5: no label '/m/09x0rr' in" in message
    assert message.endswith("nearest: '/m/09x0r'")


def test_a_segment_list_of_another_form(tmp_path):
    root = audioset(tmp_path, eval=[("0123456789a", SPEECH)])
    replace(root / "eval_segments.csv", "30.000, ", "")
    assert "line 4: expected ID, start, end, labels; found 3 cells" in failure("audioset", root)


@pytest.mark.parametrize(("name", "words", "found"), [("speechcommands", 12, 12), ("speechcommands", 36, 36)])
def test_a_number_of_classes_the_dataset_does_not_have(tmp_path, name, words, found):
    message = failure(name, speech_commands(tmp_path, words))
    assert f"expected the 35 or 30 classes of speechcommands, found {found}" in message


def test_a_folder_of_audio_that_is_no_word_is_one_class_too_many(tmp_path):
    root = speech_commands(tmp_path)
    (root / "notes").mkdir()
    assert len(load_dataset("speechcommands", root).classes) == 35
    sound(root / "notes" / "memo.wav")
    assert "found 36" in failure("speechcommands", root)


def test_audioset_with_another_list_of_classes(tmp_path):
    root = audioset(tmp_path, eval=[("0123456789a", SPEECH)])
    table(root / "class_labels_indices.csv", [("index", "mid", "display_name"), (0, SPEECH, "Speech")])
    assert "expected the 527 classes of audioset, found 1" in failure("audioset", root)
    table(root / "class_labels_indices.csv", [("index", "mid", "display_name"), (1, SPEECH, "Speech")])
    assert "line 2: expected 0,LABEL,ID; found '1,Speech" in failure("audioset", root)


def test_esc50_with_half_its_classes(tmp_path):
    root = esc50(tmp_path, [row for row in esc50_rows() if int(str(row[2])) < 25])
    assert "expected the 50 or 10 classes of esc50, found 25" in failure("esc50", root)
    assert "expected the 10 classes of esc10, found 5" in failure("esc10", root)


def test_lists_without_any_of_their_audio(tmp_path):
    root = audioset(tmp_path, eval=[("0123456789a", SPEECH), ("0123456789b", SPEECH)])
    assert failure("audioset", root).endswith("none of the 2 listed clips has a file, 0123456789a for one")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"filename,fold\n\xe9\xe9", "not in UTF-8 (invalid continuation byte in line 2)"),
        (b"filename,fold\n\0\0", "expected the columns"),
        (b"filename\0,fold\n", "line 1 holds NUL characters; save it as UTF-8"),
        (b"", "found an empty file"),
        (b"x" * 200_000, "esc50.csv: not CSV (field larger than field limit"),
    ],
    ids=["Latin-1", "NUL below", "NUL", "empty", "one cell"],
)
def test_a_list_that_is_no_csv(tmp_path, data, message):
    path = esc50(tmp_path) / "meta" / "esc50.csv"
    path.write_bytes(data)
    assert message in failure("esc50", tmp_path)


def test_a_list_that_is_a_folder(tmp_path):
    path = nsynth(tmp_path, ["test"]) / "nsynth-test" / "examples.json"
    path.unlink()
    path.mkdir()
    assert "examples.json: cannot be read: Is a directory" in failure("nsynth", tmp_path)
    path = esc50(tmp_path / "esc50") / "meta" / "esc50.csv"
    path.unlink()
    path.mkdir()
    assert "esc50.csv: cannot be read (Is a directory)" in failure("esc50", tmp_path / "esc50")


def test_examples_that_are_a_list(tmp_path):
    path = nsynth(tmp_path, ["test"]) / "nsynth-test" / "examples.json"
    path.write_text(json.dumps([1, 2]))
    assert "expected a JSON object, found list" in failure("nsynth", tmp_path)


@given(st.text())
def test_a_path_is_refused_or_stays_inside(name):
    root = Path("/data/set")
    try:
        inside = relative(name, "list.csv, line 1")
    except DataError:
        return
    assert (root / inside).parts[: len(root.parts)] == root.parts
    assert (root / inside) != root
    assert ".." not in inside.split("/")


# No "\r": Python's own writer, before 3.13, does not quote it.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


@given(rows=st.lists(st.tuples(CELL, CELL, CELL)), bom=st.booleans(), newline=st.sampled_from(["\n", "\r\n"]))
def test_a_csv_round_trip(rows, bom, newline, tmp_path_factory):
    path = table(
        tmp_path_factory.mktemp("csv") / "list.csv", [("a", "b", "c"), *rows], bom=bom, newline=newline
    )
    assert [cells for _, cells in read_columns(path, "c", "a")] == [[c, a] for a, _, c in rows]


def test_line_numbers_count_the_lines_of_the_file(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('a,b\n\n1,"two\nlines"\n3,4\n')
    assert [place for place, _ in read_rows(path)] == [f"{path}, line {line}" for line in (1, 4, 5)]


NAME = st.text("ab.", min_size=1, max_size=4).map("x".__add__)
SUFFIX = st.sampled_from(["", ".wav", ".flac", ".txt"])


@example(present={"x.flac", "x.wav"}, wanted="x.txt")
@example(present={"x.flac", "x.wav"}, wanted="x")
@given(
    present=st.sets(st.builds(str.__add__, NAME, SUFFIX), min_size=1),
    wanted=st.builds(str.__add__, NAME, SUFFIX),
)
def test_a_file_is_found_as_by_trying_all_extensions(present, wanted, tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    for name in present:
        (root / name).touch()
    base = re.sub(r"(?<=.)\.(wav|flac)$", "", wanted)
    candidates = [name for name in (wanted, f"{base}.flac", f"{base}.wav") if (root / name).is_file()]
    found = Listing(root).find(wanted)
    assert (found.name if found else None) == (candidates[0] if candidates else None)


def test_parquet_without_its_package_names_the_command(tmp_path):
    table(tmp_path / "clips.parquet", [])
    code = "import sys; sys.modules['pyarrow'] = None\n"
    code += "from pathlib import Path; from diffres_cli.datasets import load_dataset\n"
    code += "load_dataset('folder', Path(sys.argv[1]))"
    message = python(code, tmp_path / "clips.parquet").stderr.decode().splitlines()[-1]
    assert message.startswith("diffres_cli.errors.MissingDependencyError")
    assert message.endswith("pip install 'diffres[parquet]'")


def test_reading_lists_loads_neither_torch_nor_a_decoder():
    code = "import sys, diffres_cli.datasets as d; d.find_source('esc50'); print(*sys.modules)"
    loaded = set(python(code).stdout.decode().split())
    assert "diffres_cli.datasets.catalog" in loaded
    assert not loaded & {"torch", "soundfile", "soxr", "pyarrow"}


def test_a_download_that_was_cut_off_is_no_dataset_yet(tmp_path):
    root = nsynth(tmp_path / "nsynth", parts=("train", "test"))
    stage = root / STAGE / "unpacked"
    stage.mkdir(parents=True)
    with pytest.raises(DataError, match="its download was cut off: `diffres data download nsynth` resumes"):
        load_dataset("nsynth", root)
    assert load_dataset("nsynth", root, unfinished=True).splits == ("train", "test")
    stage.rmdir()
    assert load_dataset("nsynth", root).splits == ("train", "test")
