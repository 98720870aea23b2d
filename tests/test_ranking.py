"""Specific labels first: the order, the table it comes from, and where both are seen."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import EXAMPLES, invoke
from hypothesis import given
from hypothesis import strategies as st

from diffres_cli import Tagger, load_tagger
from diffres_cli.checkpoint.find import ModelFile, check_folder, read_model, shipped_models
from diffres_cli.checkpoint.parents import find_ancestors
from diffres_cli.errors import ModelError
from diffres_cli.outputs import make_writer
from diffres_cli.tagging.labels import put_specific_first, top_classes

SHIPPED = shipped_models()["audioset-small"]
SIREN = EXAMPLES / "siren.ogg"


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


# --- the order


@st.composite
def hierarchies(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """The ancestors of each class, some of which have several parents."""
    ancestors: list[tuple[int, ...]] = []
    for index in range(draw(st.integers(1, 10))):
        parents = draw(st.sets(st.integers(0, index - 1), max_size=2)) if index else set()
        ancestors.append(tuple(parents.union(*(ancestors[parent] for parent in parents))))
    names = draw(st.permutations(range(len(ancestors))))
    renamed = {names[i]: tuple(names[each] for each in above) for i, above in enumerate(ancestors)}
    return [renamed[i] for i in range(len(ancestors))]


def slowly(order: list[int], scores: np.ndarray, ancestors: list[tuple[int, ...]], share: float) -> list[int]:
    """The best label, before it all that stand before it, by whatever chain, and after it the rest."""
    if not order:
        return []
    best, before = order[0], set[int]()
    while True:
        more = {
            each
            for each in order
            for above in {best, *before} & set(ancestors[each])
            if scores[each] >= share * scores[above]
        }
        if more <= before:
            break
        before |= more
    first = slowly([each for each in order if each in before], scores, ancestors, share)
    rest = slowly([each for each in order[1:] if each not in before], scores, ancestors, share)
    return [*first, best, *rest]


@given(hierarchies(), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.data())
def test_the_order_is_that_of_the_slow_reference(ancestors, share, data):
    grades = st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])  # exact, and often equal
    scores = np.array([data.draw(grades) for _ in ancestors], np.float32)
    order = np.argsort(-scores, kind="stable")
    found = put_specific_first(order, scores, ancestors, share).tolist()
    assert found == slowly(order.tolist(), scores, ancestors, share)
    for each in found:
        for above in ancestors[each]:
            if scores[each] >= share * scores[above]:
                assert found.index(each) < found.index(above)


def test_what_is_left_out_orders_nothing_and_the_best_are_cut_last():
    scores, ancestors = np.array([0.9, 0.05, 0.8, 0.5], np.float32), [(), (0,), (), (0,)]
    assert top_classes(scores, 4, 0.1, None, ancestors).tolist() == [3, 0, 2]
    assert top_classes(scores, 1, 0.1, None, ancestors).tolist() == [3]
    assert top_classes(scores, 4, 0.1, np.array([0, 2]), ancestors).tolist() == [0, 2]
    assert top_classes(scores, 4, 0.1).tolist() == [0, 2, 3]


# --- the shipped table


def test_the_shipped_table_is_audiosets(tagger):
    index = {name: i for i, name in enumerate(tagger.card.classes)}

    def above(name: str) -> list[str]:
        return [tagger.card.classes[i] for i in tagger.ancestors[index[name]]]

    assert above("Bark") == ["Dog", "Domestic animals, pets", "Animal"]
    assert above("Chicken, rooster")[-1] == "Animal"
    assert above("Speech") == []  # what is above it, "Human voice", is no label
    assert set(above("Police car (siren)")) >= {"Siren", "Emergency vehicle", "Vehicle", "Alarm"}
    assert sum(map(bool, tagger.ancestors)) > 400


def test_a_siren_is_a_police_car_before_it_is_a_siren(tagger):
    specific = tagger.tag(SIREN, spectrogram=False)
    by_score = tagger.tag(SIREN, spectrogram=False, ranking="scores")
    names, scores = ([label.label for label in each.labels] for each in (specific, by_score))
    assert names.index("Police car (siren)") < names.index("Siren")
    assert scores.index("Siren") < scores.index("Police car (siren)")
    assert set(names) == set(scores)
    assert specific.windows[0].labels == specific.labels
    police = specific.labels[names.index("Police car (siren)")]
    assert "Siren" in police.parents
    assert police in by_score.labels


def test_the_command_line_has_both_orders_and_names_what_is_above():
    specific, by_score = (
        json.loads(invoke("tag", SIREN, "-f", "jsonl", "--ranking", ranking).out)
        for ranking in ("specific", "scores")
    )
    assert specific == json.loads(invoke("tag", SIREN, "-f", "jsonl").out)
    listed = [label["score"] for label in by_score["labels"]]
    assert listed == sorted(listed, reverse=True) != [label["score"] for label in specific["labels"]]
    parents = {label["label"]: label.get("parents") for label in specific["labels"]}
    assert "Siren" in parents["Police car (siren)"]
    assert "Siren > Police car (siren)" in invoke("tag", SIREN).out
    wrong = invoke("tag", SIREN, "--ranking", "best")
    assert (wrong.code, wrong.complaint) == (2, "--ranking best: choose specific or scores")


def test_another_order_tags_again(tmp_path):
    command = ["tag", SIREN, "-o", tmp_path / "out"]
    assert "1 tagged" in invoke(*command).err
    assert "0 tagged, 1 done before" in invoke(*command, "--ranking", "specific").err
    assert "changed since the last run: 1 recordings are" in invoke(*command, "--ranking", "scores").err


def test_the_table_names_a_label_with_those_it_stands_before():
    above = {"Bark": ["Dog", "Pets", "Animal"], "Dog": ["Pets", "Animal"], "Pets": ["Animal"]}
    above |= {"Horn": ["Car", "Alarm", "Vehicle"], "Car": ["Vehicle"]}
    names = ["Bark", "Dog", "Animal", "Horn", "Alarm", "Car", "Vehicle"]
    labels = [{"label": name, "id": "", "score": 0.5, "parents": above.get(name, [])} for name in names]
    record = {"file": "a.wav", "duration": 1.0, "model": "m", "fps": 50.0, "min_confidence": 0.1}
    lines = "".join(make_writer("table").format_record({**record, "labels": labels, "windows": []}))
    assert [" ".join(line.split()[2:]) for line in lines.splitlines()[3:]] == [
        "Animal > Dog > Bark",  # Pets is not among the labels
        "Dog",
        "Animal",
        "Alarm > Horn",  # a car is no alarm
        "Alarm",
        "Vehicle > Car",
        "Vehicle",
    ]


# --- tables of other people


def with_table(tagger: Tagger, table: bytes) -> list[tuple[int, ...]]:
    return list(find_ancestors(ModelFile(Path("mine/model.onnx"), b"", table), tagger.card))


DOG, BARK = b"/m/0bt9lr", b"/m/05tny_"
HEAD = b"mid,parent\n"
CHAIN = HEAD + BARK + b",x0\n" + b"".join(b"x%d,x%d\n" % (i, i + 1) for i in range(200))
HOSTILE = {
    "no text": (b"\xff\xd8\xff\xe0" * 20, "decode"),
    "NUL": (HEAD + b"a\0,b\n", "line 2 is .*|NUL"),
    "no header": (BARK + b"," + DOG + b"\n", "expected the header mid,parent"),
    "a list": (HEAD + b"a,b,c\n", r"line 2 is \['a', 'b', 'c'\], expected an id and one above it"),
    "half a row": (HEAD + BARK + b",\n", "line 2 is"),
    "control characters": (HEAD + BARK + b",\x1b[31m\n", "line 2 is"),
    "an endless id": (HEAD + BARK + b"," + b"x" * 2000 + b"\n", "line 2 is"),
    "an endless field": (HEAD + b'"' + b"x" * 200_000, "field larger|line"),
    "itself": (HEAD + DOG + b"," + DOG + b"\n", "goes round in a circle"),
    "a circle": (
        HEAD + DOG + b"," + BARK + b"\n" + BARK + b"," + DOG + b"\n",
        "circle: '/m/.*', '/m/",
    ),
    "too high": (CHAIN, "above it, at most 100 are read"),
    "too long": (HEAD + (BARK + b"," + DOG + b"\n") * 100_001, "more than 100,000 rows"),
    "another model's": (HEAD + b"a,b\n", "no class of audioset-small is above another in it"),
    "no rows": (HEAD, "no class of audioset-small"),
}


@pytest.mark.parametrize("table", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_table_that_is_none_is_refused_in_one_line(tagger, table):
    with pytest.raises(ModelError, match=table[1]) as refusal:
        with_table(tagger, table[0])
    message = str(refusal.value)
    assert message.startswith("mine/parents.csv: ")
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("form", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_may_be_saved_by_a_spreadsheet_and_go_through_ids_of_its_own(tagger, form):
    text = "mid,parent\r\n/m/05tny_,between\r\n\r\nbetween,/m/0bt9lr\r\n/m/05tny_,/m/04rlf\r\n"
    found = with_table(tagger, text.encode(form))
    (bark,) = [i for i, above in enumerate(found) if above]
    assert tagger.card.classes[bark] == "Bark"
    assert {tagger.card.classes[i] for i in found[bark]} == {"Dog", "Music"}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "mine", ignore=shutil.ignore_patterns("*.safetensors"))


def change(folder: Path, table: bytes | None) -> None:
    """Let a folder hold another table, or none, and state it."""
    lines = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if "parents.csv" not in line]
    if table is None:
        (folder / "parents.csv").unlink()
    else:
        (folder / "parents.csv").write_bytes(table)
        lines.append(f"{hashlib.sha256(table).hexdigest()}  parents.csv")
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def test_a_model_without_a_table_ranks_by_scores(folder):
    change(folder, None)
    labels = load_tagger(folder).tag(SIREN, spectrogram=False).labels
    assert [label.label for label in labels[:2]] == ["Siren", "Police car (siren)"]
    assert all(label.parents == () for label in labels)


def test_a_table_of_ones_own_orders_and_tags_again(folder, tmp_path):
    command = ["tag", SIREN, "-m", folder, "-o", tmp_path / "out"]
    assert "1 tagged" in invoke(*command).err
    change(folder, HEAD + b"/m/03j1ly,/m/03kmc9\n")  # an emergency vehicle is a siren
    assert "changed since the last run" in invoke(*command).err
    record = json.loads((tmp_path / "out" / "siren.ogg.json").read_bytes())[0]
    assert [label["label"] for label in record["labels"] if "parents" in label] == ["Emergency vehicle"]


def test_a_table_is_verified_like_the_model(folder):
    with (folder / "parents.csv").open("ab") as table:
        table.write(b"/m/0bt9lr,/m/05tny_\n")
    with pytest.raises(ModelError, match=r"parents\.csv: damaged: SHA-256 is"):
        read_model(folder / "model.onnx")
    (folder / "parents.csv").unlink()
    with pytest.raises(ModelError, match=r"parents\.csv: cannot be read: No such file"):
        read_model(folder / "model.onnx")
    assert check_folder(folder) == ["parents.csv is missing"]


def test_a_file_of_that_name_beside_a_lone_graph_is_not_the_models(folder):
    (folder / "model.onnx").rename(folder / "lone.onnx")
    (folder / "parents.csv").write_text("Mary,Anna\n")
    assert read_model(folder / "lone.onnx").parents == b""
