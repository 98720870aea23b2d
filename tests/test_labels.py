"""Scores -> ranked labels, of all the model knows or of a list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffres_cli import Tagger, load_tagger
from diffres_cli.errors import UsageError
from diffres_cli.tagging.labels import Ranker, pool_scores, read_names, select_classes, top_classes
from diffres_cli.tagging.settings import Settings

ROOT = Path(__file__).parent.parent
SCORES = st.lists(st.floats(0, 1, width=32) | st.just(0.5), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


@given(SCORES, st.integers(1, 40), st.floats(0, 1), st.data())
def test_the_best_are_those_a_sort_puts_first(scores, top_k, least, data):
    allowed = data.draw(st.none() | st.sets(st.integers(0, len(scores) - 1)))
    classes = range(len(scores)) if allowed is None else sorted(allowed)
    probabilities = np.array(scores, np.float32)
    expected = sorted(classes, key=lambda i: -probabilities[i])[:top_k]
    given_as = None if allowed is None else np.array(sorted(allowed), np.intp)
    found = top_classes(probabilities, top_k, least, given_as).tolist()
    assert found == [i for i in expected if probabilities[i] >= least]


def test_a_label_has_its_name_its_id_and_its_score(tagger):
    probabilities = np.zeros(527, np.float32)
    probabilities[[0, 74]] = 0.25, 0.75
    first, second = Ranker(tagger.card, tagger.ancestors).top_labels(probabilities)
    assert (first.label, first.id, first.score) == ("Dog", "/m/0bt9lr", 0.75)
    assert second.label == "Speech"


def test_a_recording_scores_as_its_best_window():
    low, high = np.array([0.1, 0.9], np.float32), np.array([0.3, 0.2], np.float32)
    assert pool_scores(pool_scores(None, low), high).tolist() == np.array([0.3, 0.9], np.float32).tolist()


def test_a_list_names_labels_or_ids_in_any_order(tagger):
    classes = select_classes(tagger.card, ["/m/07cx4", "Dog", "Speech", "Dog"])
    assert [tagger.card.classes[i] for i in classes] == ["Speech", "Dog", "Telephone"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("dog", "'Dog'"),  # alike but for case
        ("Telefone", "'Telephone'"),  # spelled nearly so
        ("siren", "'Siren', 'Police car (siren)', 'Ambulance (siren)'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(tagger, name, nearest):
    with pytest.raises(UsageError) as refusal:
        select_classes(tagger.card, ["Speech", name])
    assert f"audioset-small has no label {name!r} (nearest: {nearest}" in str(refusal.value)


def test_many_unknown_names_make_one_short_line(tagger):
    with pytest.raises(UsageError) as refusal:
        select_classes(tagger.card, [f"xqz{i}" for i in range(200)])
    message = str(refusal.value)
    assert "'xqz0' (nothing is spelled like it)" in message
    assert message.endswith("; and 197 more")
    assert len(message) < 250


def test_an_empty_list_is_refused(tagger):
    with pytest.raises(UsageError, match="the list is empty"):
        select_classes(tagger.card, [])


@pytest.mark.parametrize(
    "data", [b"Dog\nRain drop\n", b"\xef\xbb\xbfDog\r\n\r\n  Rain drop  ", b"\n\nDog\nRain drop"]
)
def test_a_file_has_a_name_a_line(tmp_path, data):
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    assert read_names(path) == ("Dog", "Rain drop")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"^labels .*nothing\.txt: No such file"):
        read_names(tmp_path / "nothing.txt")
    with pytest.raises(UsageError, match=r"^labels .*: Is a directory"):
        read_names(tmp_path)
    (tmp_path / "noise.wav").write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match=r"^labels .*noise\.wav: expected text, one label or id a line"):
        read_names(tmp_path / "noise.wav")


def test_a_tagger_held_to_a_list_gives_its_labels_alone_at_the_same_scores(tagger):
    sound = ROOT / "examples" / "telephone.ogg"
    everything = tagger.tag(sound, spectrogram=False, min_confidence=0, top_k=527)
    listed = tagger.tag(sound, spectrogram=False, min_confidence=0, labels=("Dog", "/m/07cx4"), events=True)
    scores = {label.label: label.score for label in everything.labels}
    assert [label.label for label in listed.labels] == ["Telephone", "Dog"]
    assert all(label.score == scores[label.label] for label in listed.labels)
    assert [label.label for label in listed.windows[0].labels] == ["Telephone", "Dog"]
    assert {event.label for event in listed.events} <= {"Telephone", "Dog"}


def test_settings_are_checked_without_a_recording(tagger):
    with pytest.raises(UsageError, match="no label 'Dgo'"):
        Settings(labels=("Dgo",)).resolve(tagger.card)
    assert Settings(labels=("Dog",)).resolve(tagger.card).labels == ("Dog",)
