"""What is said of evaluations: table, JSON and CSV of the same numbers."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from evaluated import CLIPS, LABELS, write_dataset, write_run

from diffres_cli.evaluation import plot, report
from diffres_cli.evaluation.evaluate import evaluate_all
from diffres_cli.evaluation.result import Evaluation, RateResult
from diffres_cli.evaluation.tasks import EvalRequest, eval_tasks


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Evaluation]:
    """Three seeds: the good one, and two that noise has made worse."""
    home = tmp_path_factory.mktemp("report")
    data = write_dataset(home / "data")
    runs = [write_run(home, data, noise=0.15 * i, name="seed" + i * "+") for i in range(3)]
    request = EvalRequest(runs=tuple(runs), fps=(25.0, 50.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFRES_DATA", str(home / "cache"))
        return list(evaluate_all(request, eval_tasks(request)))


def test_several_are_summed_up_as_mean_and_deviation(three: list[Evaluation]) -> None:
    accuracies = [each.rates[1].metrics["accuracy"] for each in three]
    assert len(set(accuracies)) > 1
    expected = f"{100 * np.mean(accuracies):.1f} ± {100 * np.std(accuracies, ddof=1):.1f}"
    text = report.as_table(three)
    (row,) = (line for line in text.splitlines() if line.split()[0:1] == ["50"])
    assert row.split("  ")[1].strip() == expected
    assert text.startswith("folder, test, 6 classes: seed, seed+, seed++, torch on cpu, 3 evaluations")
    (each,) = (line for line in text.splitlines() if line.startswith("seed++ "))
    assert each.split() == [
        "seed++", "test", "24", *(f"{100 * rate.metrics['accuracy']:.1f}" for rate in three[2].rates)
    ]  # fmt: skip


def test_json_holds_all_numbers(three: list[Evaluation]) -> None:
    found = json.loads(report.as_json(three, {"command": "diffres eval"}))
    accuracies = [each.rates[0].metrics["accuracy"] for each in three]
    assert found["command"] == "diffres eval"
    assert found["summary"][0]["fps"] == 25
    assert found["summary"][0]["accuracy"] == pytest.approx(
        {"mean": np.mean(accuracies), "std": np.std(accuracies, ddof=1)}
    )
    rate = found["evaluations"][2]["rates"][0]
    assert rate["metrics"]["mAP"] == three[2].rates[0].metrics["mAP"]
    assert rate["classes"][1]["label"] == "bird"
    assert rate["classes"][1]["recall"] == three[2].rates[0].classes[1].recall
    assert rate["confusions"] == three[2].rates[0].confusions


def test_what_is_no_finite_number_is_null_in_json(three: list[Evaluation]) -> None:
    rate = three[0].rates[0]
    rate = replace(rate, metrics=rate.metrics | {"d_prime": math.inf, "AUC": math.nan})
    found = json.loads(report.as_json([replace(three[0], rates=(rate,))], {}))
    assert found["evaluations"][0]["rates"][0]["metrics"]["d_prime"] is None
    assert found["summary"][0]["AUC"] == {"mean": None, "std": None}


def test_csv_has_a_row_for_each_evaluation_and_rate(three: list[Evaluation]) -> None:
    rows = list(csv.DictReader(io.StringIO(report.as_csv(three))))
    assert [(row["model"], row["fps"]) for row in rows][:3] == [
        ("seed", "25.0"),
        ("seed", "50.0"),
        ("seed+", "25.0"),
    ]
    assert float(rows[5]["mAP"]) == three[2].rates[1].metrics["mAP"]
    assert float(rows[5]["seconds_per_clip"]) == three[2].rates[1].seconds > 0
    classes = list(csv.DictReader(io.StringIO(report.per_class_csv(three))))
    assert len(classes) == 3 * 2 * 6
    assert (classes[7]["fps"], classes[7]["label"], classes[7]["count"]) == ("50.0", "bird", "4")
    assert float(classes[7]["f1"]) == three[0].rates[1].classes[1].f1


def test_confusions_of_several_are_summed(three: list[Evaluation]) -> None:
    header, *rows = csv.reader(io.StringIO(report.confusion_csv(three)))
    assert header == ["fps", "label", *LABELS]
    expected = np.sum([each.rates[1].confusions for each in three], axis=0)
    assert [row[:2] for row in rows[6:]] == [["50.0", label] for label in LABELS]
    assert np.array([row[2:] for row in rows[6:]], int).tolist() == expected.tolist()
    assert expected.sum() == 3 * CLIPS
    assert expected.tolist() != expected.T.tolist()


def test_classes_without_clips_are_told(three: list[Evaluation]) -> None:
    rate = three[0].rates[0]
    empty = replace(rate.classes[3], count=0)
    rate = replace(rate, classes=(*rate.classes[:3], empty, *rate.classes[4:]))
    text = report.as_table([replace(three[0], rates=(rate,))])
    assert text.endswith("\n1 of 6 classes have no clip in test and are left out of mAP, AUC and d': rain\n")
    assert "left out" not in report.as_table(three)


def test_folds_are_told_in_short(three: list[Evaluation]) -> None:
    held = [replace(three[0], splits=(f"fold{i}",), fold=i) for i in (1, 2, 3)]
    assert report.describe_splits(held) == "folds 1 to 3"
    assert report.describe_splits([replace(three[0], splits=("fold2", "fold3"))]) == "folds 2 to 3"
    assert report.describe_splits([held[0], held[2]]) == "fold1, fold3"
    assert report.describe_splits([replace(three[0], splits=("train", "test"))]) == "train, test"
    assert report.describe_splits(held[1:2]) == "fold2"


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99, 1.0])
def test_the_axis_of_a_constant_is_no_drama_and_ends_at_100(share: float) -> None:
    rates = tuple(RateResult(fps, {"accuracy": share}, 0.01, ()) for fps in (25.0, 50.0, 100.0))
    found = Evaluation(
        "m", "", "torch", "cpu", 8, "esc10", "", "", False, ("test",), None, 9, 5.0, ("a", "b"), rates
    )
    axes = next(each for each in plot._rates([found]).axes if each.get_ylabel() == "Accuracy (%)")
    low, high = axes.get_ylim()
    assert 0 <= low <= 100 * share <= high <= 100
    assert high - low >= 9.999
