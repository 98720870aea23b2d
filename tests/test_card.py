"""A model's own account of itself, when a stranger wrote it: safe to show, and numbers that can be."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import onnx
import pytest
from command import EXAMPLES, Result, invoke
from dataset_trees import sound
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from test_cli_terminal import on_terminal

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import shipped_models
from diffres_cli.checkpoint.frontend import PAPER, MelConfig
from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.checkpoint.variant import Variant
from diffres_cli.datasets import load_dataset
from diffres_cli.errors import DataError, ModelError
from diffres_cli.outputs.sink import Sink

CARD = ModelCard("x", "efficientnet_b2", ("a", "b"), ("1", "2"), PAPER, "MIT", "ESC-50")
UNSAFE = ["\x1b[31mred", "a\nb", "a\rb", "bell\x07", "\x9b1m", "\u202egpj.exe", "\u2066a", "a\u2028b", "\x00"]


def read(**changes: Any) -> ModelCard:
    """The card with other metadata, as JSON but for texts."""
    texts = {key: each if isinstance(each, str) else json.dumps(each) for key, each in changes.items()}
    return ModelCard.from_metadata(CARD.to_metadata() | texts, "here")


def refused(**changes: Any) -> str:
    with pytest.raises(ModelError) as caught:
        read(**changes)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000
    return str(caught.value)


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
@pytest.mark.parametrize("key", ["classes", "class_ids"])
def test_names_that_a_terminal_would_obey_are_refused(key: str, name: str) -> None:
    assert key in refused(**{key: ["a", name]})


@pytest.mark.parametrize("name", ["می\u200cخواهم", "👩\u200d🚒", "[red]x[/red]", "a\u00a0b", "$x$", "ü"])
def test_names_in_any_script_are_names(name: str) -> None:
    assert read(classes=["a", name]).classes == ("a", name)


@pytest.mark.parametrize("text", UNSAFE, ids=ascii)
@pytest.mark.parametrize("key", ["name", "architecture", "license", "trained_on", "derived_from"])
def test_free_text_is_on_one_safe_line(key: str, text: str) -> None:
    assert getattr(read(**{key: text}), key).isprintable()


@pytest.mark.parametrize("name", [field.name for field in fields(MelConfig)])
@pytest.mark.parametrize("value", [0.5, -1, float("nan"), float("inf"), 10**9, 10**400, "1", None, [1], {}])
def test_a_front_end_that_cannot_be_is_refused(name: str, value: Any) -> None:
    sound_ones = {"low": {0.5}, "pre_emphasis": {0.5, -1}, "log_offset": {0.5}, "log_shift": {0.5, -1},
                  "log_scale": {0.5}, "high": {0.5}}  # fmt: skip
    mel = asdict(PAPER) | {name: value}
    if isinstance(value, (int, float)) and value in sound_ones.get(name, ()):
        assert asdict(read(mel=mel).mel)[name] == value
    else:
        assert f"{name} " in refused(mel=mel)


@pytest.mark.parametrize("value", [True, 0])
@pytest.mark.parametrize("name", ["sample_rate", "window", "hop", "fft", "mel_bins", "minimum_samples"])
def test_a_count_is_a_whole_number_from_one(name: str, value: Any) -> None:
    assert name in refused(mel=asdict(PAPER) | {name: value})


@pytest.mark.parametrize(
    "mel", [{"low": 9000.0}, {"high": 8001.0}, {"minimum_samples": 960_001}, {"hop": 1}], ids=str
)
def test_numbers_of_a_front_end_that_contradict_each_other(mel: dict[str, float]) -> None:
    assert next(iter(mel)) in refused(mel=asdict(PAPER) | mel)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_every_front_end_of_ours_is_one(front_end: str) -> None:
    assert not list(FRONT_ENDS[front_end].config.faults())


@pytest.mark.parametrize("value", [0, -1, 1e9, float("nan"), float("inf"), True, "50", None, []], ids=str)
@pytest.mark.parametrize("name", ["sample_duration", "minimum_fps", "maximum_fps", "default_fps", "width"])
def test_numbers_that_no_model_has(name: str, value: Any) -> None:
    assert f"{name} " in refused(**{name: json.dumps(value)})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"minimum_fps": 60.0}, "default_fps"),
        ({"multi_label": 1}, "multi_label"),
        ({"classes": [], "class_ids": []}, "classes"),
        ({"classes": ["a", "b" * 1001]}, "classes"),
        ({"classes": ["a"] * 100_001}, "classes"),
        ({"variant": asdict(Variant()) | {"dilation": 10**9}}, "dilation"),
        ({"variant": asdict(Variant()) | {"encoding": "yes"}}, "encoding"),
        ({"variant": asdict(Variant()) | {"front_end": ["mel"]}}, "front_end"),
        ({"mel": asdict(PAPER) | {"\x1b[2J" * 9999: 1}}, "unexpected keyword"),
        ({"mel": [1]}, "mapping"),
        ({"classes": "[" * 100_000}, "recursion"),
        ({"mel": '{"a":' * 100_000}, "recursion"),
        ({"width": "9" * 100_000}, "digits"),
        ({"classes": '["' + "a" * 2**24 + '"]'}, "characters"),
        ({"format": "\x1b" * 9999}, "format"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_facts_that_make_no_sense_are_refused(changes: dict[str, Any], named: str) -> None:
    assert named in refused(**changes)


TEXT = st.text('ab1.[{"\\\x1b\n\u202e', max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from([field.name for field in fields(ModelCard)])
PARTS = st.dictionaries(st.sampled_from([field.name for field in fields(MelConfig)]), JSON, max_size=3)


@given(st.dictionaries(KEYS, JSON.map(json.dumps) | TEXT, max_size=4), PARTS)
def test_whatever_the_metadata_says_a_card_is_sound_or_refused(facts: dict[str, str], mel: Any) -> None:
    metadata = CARD.to_metadata() | {"mel": json.dumps(asdict(PAPER) | mel)} | facts
    try:
        card = ModelCard.from_metadata(metadata, "here")
    except ModelError:
        return
    assert card.check_fps(card.default_fps)
    assert card.mel.mel_frequencies.shape == (card.mel.mel_bins,)
    assert not any(letter in text for letter in "\x1b\n\u202e" for text in (*card.classes, card.license))


def hostile(path: Path, **changes: str) -> Path:
    model = onnx.load(shipped_models()["audioset-small"] / "model.onnx")
    found = {entry.key: entry.value for entry in model.metadata_props}
    classes = json.loads(found["classes"])
    if "label" in changes:
        classes = [changes.pop("label"), *classes[1:]]
    helper.set_model_props(model, found | changes | {"classes": json.dumps(classes)})
    onnx.save(model, path)
    return path


def commands(model: Path, folder: Path) -> list[Result]:
    siren = EXAMPLES / "siren.ogg"
    return [
        invoke("models", "info", model),
        invoke("tag", siren, "-m", model, "-c", "0", "-k", "527"),
        invoke("tag", siren, "-m", model, "-f", "csv", "-o", folder / "a.csv"),
        invoke("viz", siren, "-m", model, "--terminal"),
    ]


def test_no_command_shows_a_strangers_control_characters(tmp_path: Path) -> None:
    model = hostile(tmp_path / "odd.onnx", license="\x1b[31mMIT\u202e\nfree", trained_on="a\x1b]0;title\x07")
    for result in commands(model, tmp_path):
        assert result.code == 0, result.err
        assert not {"\x1b", "\x07", "\u202e"} & set(result.out + result.err)
    model = hostile(tmp_path / "worse.onnx", label="\x1b[31mSpeech")
    for result in commands(model, tmp_path):
        assert result.code == 3
        assert "classes" in result.complaint


def test_a_front_end_that_is_not_the_graphs_is_refused(tmp_path: Path) -> None:
    mel = asdict(FRONT_ENDS["audioset-small"].config) | {"mel_bins": 64}
    result = invoke("models", "info", hostile(tmp_path / "odd.onnx", mel=json.dumps(mel)))
    assert result.code == 3
    assert "64" in result.complaint


def test_a_terminal_is_shown_names_and_does_not_obey_them(tmp_path: Path) -> None:
    name = tmp_path / "\x1b[35mrain.ogg"
    name.symlink_to(EXAMPLES / "rain.ogg")
    screen = on_terminal("tag", name, "-f", "csv")
    assert (screen.code, "\x1b[35m" in screen.shown) == (0, False)
    assert r"\x1b[35mrain.ogg" in screen.shown


def test_a_file_gets_text_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as stream:
        Sink(stream).write("a\x1b[35m\n")
    assert (tmp_path / "out").read_bytes() == b"a\x1b[35m\n"


def test_a_label_that_no_model_could_have_is_refused_before_training(tmp_path: Path) -> None:
    sound(tmp_path / "rain" / "1.wav")
    sound(tmp_path / "wind\x1b[2J" / "1.wav")
    with pytest.raises(DataError, match=r"label .*wind.*control characters"):
        load_dataset("folder", tmp_path)
