"""Whose scores are whose: a model's labels against a dataset's, and which clips of it are meant."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated import CLASSES, EXAMPLES, LABELS, hearing_network, write_map

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model
from diffres_cli.datasets.clip import Clip, Dataset
from diffres_cli.errors import DataError, UsageError
from diffres_cli.evaluation.labelmap import match_labels, read_map
from diffres_cli.evaluation.tasks import clip_sets
from diffres_cli.nn.weights import load_network

CARD = hearing_network().card


def dataset_of(*splits: str, name: str = "bells", classes: tuple[str, ...] = LABELS) -> Dataset:
    clips = tuple(Clip(f"{split}{i}", Path(), (0,), split) for split in splits for i in range(2))
    return Dataset(name, Path("here"), classes, classes, False, 1.0, "", "", clips)


@pytest.fixture
def dataset() -> Dataset:
    return dataset_of("test", name="folder")


@pytest.fixture(scope="module")
def audioset() -> ModelCard:
    return load_network(find_model("audioset-small", weights=True)).card.renamed("audioset-small")


def test_labels_in_another_order_are_sorted_out(dataset: Dataset) -> None:
    shuffled = replace(dataset, classes=LABELS[::-1], class_ids=LABELS[::-1])
    scores = np.arange(6, dtype=np.float32)[None]
    assert match_labels(CARD, shuffled).apply(scores).tolist() == [[5, 4, 3, 2, 1, 0]]
    other_names = replace(CARD, classes=tuple("abcdef"))
    assert match_labels(other_names, shuffled).apply(scores).tolist() == [[5, 4, 3, 2, 1, 0]]  # by id


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            ("bell", "Bird", "phone", "rain", "siren", "voice"),
            "2 of its 6 classes missing: 'bird' (nearest: 'Bird'), 'speech'; 2 extra: 'Bird', 'voice'",
        ),
        ((*LABELS, "wind"), "1 extra: 'wind'"),
        (LABELS[:5], "1 of its 6 classes missing: 'speech'"),
    ],
)
def test_other_labels_are_refused_with_the_difference(
    dataset: Dataset, labels: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        match_labels(replace(CARD, classes=labels, class_ids=labels), dataset)
    assert str(refused.value).startswith(f"small does not fit folder: {told}; ")
    assert "CSV: label,model_label" in str(refused.value)


def test_a_map_takes_the_largest_of_several(dataset: Dataset, audioset: ModelCard, tmp_path: Path) -> None:
    labels = read_map(write_map(tmp_path / "map.csv"), audioset, dataset)
    scores = np.random.default_rng(0).random((3, 527)).astype(np.float32)
    index = {name: i for i, name in enumerate(audioset.classes)}
    expected = {label: scores[:, index[name]] for label, (_, name) in CLASSES.items()}
    expected["rain"] = np.maximum(expected["rain"], scores[:, index["Rain"]])
    expected["bird"] = np.maximum(expected["bird"], scores[:, audioset.class_ids.index("/m/020bb7")])
    found = labels.apply(scores)
    np.testing.assert_array_equal(found, np.stack([expected[label] for label in dataset.classes], 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected the columns label, model_label; found an empty file"),
        ("rain,Rain\n", "expected the columns label, model_label; found rain, Rain"),
        ("label,model_label\nrane,Rain\n", "line 2: folder has no label 'rane' (nearest: 'rain')"),
        (
            "label,model_label\n\nrain,Rains\n",
            "line 3: audioset-small has no label 'Rains' (nearest: 'Rain')",
        ),
        ("label,model_label\nrain,Rain,Drip\n", "line 2: expected 2 cells, found 3"),
        (
            "label,model_label\nrain,Rain\nbell,Bell\n",
            "no row for 'bird', 'phone', 'siren' and 1 more of folder",
        ),
    ],
)
def test_a_map_that_is_wrong(
    dataset: Dataset, audioset: ModelCard, tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises((DataError, UsageError)) as refused:
        read_map(path, audioset, dataset)
    assert told in str(refused.value)
    assert str(refused.value).startswith(str(path))


def test_a_map_that_cannot_be_read(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_map(tmp_path / "nowhere.csv", CARD, dataset)
    (tmp_path / "latin").write_bytes("label,model_label\nré,x\n".encode("latin-1"))
    with pytest.raises(DataError, match="not in UTF-8"):
        read_map(tmp_path / "latin", CARD, dataset)


def test_the_shipped_map_fits_audioset_to_esc10(audioset: ModelCard) -> None:
    rows = list(csv.DictReader((EXAMPLES / "maps" / "esc10_audioset.csv").read_text().splitlines()))
    assert len({row["label"] for row in rows}) == 10
    assert {row["model_label"] for row in rows} <= set(audioset.classes)


# --- which clips


FOLDS = dataset_of("fold1", "fold2", "fold3")
SPLITS = dataset_of("train", "validation", "test")


@pytest.mark.parametrize(
    ("dataset", "split", "fold", "expected"),
    [
        (FOLDS, None, None, [("fold1",), ("fold2",), ("fold3",)]),
        (FOLDS, None, "all", [("fold1",), ("fold2",), ("fold3",)]),
        (FOLDS, None, "2", [("fold2",)]),
        (FOLDS, "all", None, [("fold1", "fold2", "fold3")]),
        (SPLITS, None, None, [("test",)]),
        (SPLITS, "train,validation", None, [("train", "validation")]),
        (SPLITS, "all", None, [("train", "validation", "test")]),
    ],
)
def test_which_clips_are_meant(
    dataset: Dataset, split: str | None, fold: str | None, expected: list[tuple[str, ...]]
) -> None:
    assert clip_sets(dataset, split, fold) == expected


@pytest.mark.parametrize(
    ("dataset", "split", "fold", "error", "told"),
    [
        (SPLITS, None, "1", UsageError, "fold 1: bells has no folds; its splits are train, valid"),
        (FOLDS, "fold1", "1", UsageError, "fold 1: a split is given too"),
        (FOLDS, None, "4", DataError, "'fold4'; there are fold1 (2), fold2 (2), fold3 (2)"),
        (dataset_of("train"), None, None, DataError, "'test'; there are train (2)"),
    ],
)  # fmt: skip
def test_clips_that_are_not_there(
    dataset: Dataset, split: str | None, fold: str | None, error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as refused:
        clip_sets(dataset, split, fold)
    assert told in str(refused.value)
