"""The metrics against slow references, and under DDP against one process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import PATIENCE
from scipy.stats import norm
from torch import Tensor

from diffres_cli.evaluation.metrics import TaggingMetrics, class_scores, confusion_matrix

HERE = Path(__file__).parent


def average_precision(scores: np.ndarray, wanted: np.ndarray) -> float:
    """The mean over positives of the precision at their rank: sum of (R_n - R_(n-1)) P_n, ties as one."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        found = (wanted & chosen).sum()
        total += (found / wanted.sum() - recall) * found / chosen.sum()
        recall = found / wanted.sum()
    return total


def area(scores: np.ndarray, wanted: np.ndarray) -> float:
    """The share of pairs of a positive and a negative that are in order; a tie is half a pair."""
    pairs = [(p, n) for p in scores[wanted] for n in scores[~wanted]]
    return float(np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs]))


def material(clips: int, classes: int, *, single: bool, empty: int = 0) -> tuple[Tensor, Tensor]:
    """Probabilities that know something, with ties, and targets; the last `empty` classes have no clip."""
    random = np.random.default_rng(clips * classes)
    if single:
        targets = np.eye(classes)[random.integers(0, classes - empty, clips)]
    else:
        targets = (random.random((clips, classes)) < 0.3).astype(float)
        targets[:, classes - empty :] = 0
    probabilities = np.clip(random.random((clips, classes)) * 0.7 + 0.3 * targets, 0, 1).round(2)
    return torch.from_numpy(probabilities).float(), torch.from_numpy(targets).float()


def measured(probabilities: Tensor, targets: Tensor, multi_label: bool, batch: int = 7) -> dict[str, float]:
    measure = TaggingMetrics(multi_label)
    for start in range(0, len(targets), batch):
        measure.update(probabilities[start : start + batch], targets[start : start + batch])
    return {name: float(value) for name, value in measure.compute().items()}


@pytest.mark.parametrize("empty", [0, 2])
@pytest.mark.parametrize("single", [True, False])
def test_metrics_are_the_references(single: bool, empty: int) -> None:
    probabilities, targets = material(60, 6, single=single, empty=empty)
    scores, wanted = probabilities.numpy(), targets.numpy() > 0.5
    found = measured(probabilities, targets, multi_label=not single)
    kept = range(6 - empty)
    expected = {
        "mAP": np.mean([average_precision(scores[:, c], wanted[:, c]) for c in kept]),
        "AUC": np.mean([area(scores[:, c], wanted[:, c]) for c in kept]),
    }
    expected["d_prime"] = math.sqrt(2) * norm.ppf(expected["AUC"])
    if single:
        expected["accuracy"] = np.mean(scores.argmax(1) == wanted.argmax(1))
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-5)  # float32
    assert abs(found["mAP"] - found["AUC"]) > 0.05  # the two cannot be mixed up


def test_a_class_all_clips_have_has_no_auc_and_counts_for_map() -> None:
    probabilities, targets = material(30, 3, single=False)
    targets[:, 1] = 1
    scores, wanted = probabilities.numpy(), targets.numpy() > 0.5
    found = measured(probabilities, targets, multi_label=True)
    precisions = [average_precision(scores[:, c], wanted[:, c]) for c in range(3)]
    assert precisions[1] == pytest.approx(1)
    assert found["mAP"] == pytest.approx(np.mean(precisions), abs=1e-5)
    assert found["AUC"] == pytest.approx(
        np.mean([area(scores[:, c], wanted[:, c]) for c in (0, 2)]), abs=1e-5
    )


def test_nothing_to_rank_is_no_number() -> None:
    found = measured(torch.rand(4, 3), torch.zeros(4, 3), multi_label=True)
    assert all(map(math.isnan, found.values()))


@pytest.mark.filterwarnings("error")
def test_empty_classes_are_no_reason_to_warn() -> None:
    probabilities, targets = material(20, 4, single=True, empty=1)
    measured(probabilities, targets, multi_label=False)
    class_scores(probabilities, targets, multi_label=False)


def test_after_a_reset_nothing_is_left() -> None:
    first, second = material(30, 4, single=True), material(31, 4, single=True)
    measure = TaggingMetrics(multi_label=False)
    measure.update(*first)
    measure.compute()
    measure.reset()
    measure.update(*second)
    assert measure.compute()["mAP"] == pytest.approx(measured(*second, multi_label=False)["mAP"])
    assert measured(*first, multi_label=False)["mAP"] != measured(*second, multi_label=False)["mAP"]


def test_a_score_a_rounding_above_1_does_not_make_logits_of_its_batch() -> None:
    probabilities, targets = material(40, 4, single=True)
    above = probabilities.clone()
    above[0, 0] = 1 + 2e-7
    exact = above.clamp_max(1.0)
    first, rest = slice(None, 8), slice(8, None)
    found, expected = (TaggingMetrics(multi_label=False) for _ in range(2))
    for measure, scores in ((found, above), (expected, exact)):
        for part in (first, rest):  # a sigmoid of one batch and none of the other: they no longer compare
            measure.update(scores[part], targets[part])
    assert found.compute() == expected.compute()
    assert class_scores(above, targets, False) == class_scores(exact, targets, False)
    assert (found.scores[0] == exact[first]).all()


def test_soft_targets_and_half_precision_count_as_what_they_round_to() -> None:
    probabilities, targets = material(40, 4, single=False)
    soft = targets * 0.6 + (1 - targets) * 0.4
    expected = measured(probabilities.bfloat16().float(), targets, multi_label=True)
    assert measured(probabilities.bfloat16(), soft, multi_label=True) == pytest.approx(expected)


def test_each_class_by_the_references() -> None:
    probabilities, targets = material(50, 5, single=True, empty=1)
    scores, wanted = probabilities.numpy(), targets.numpy() > 0.5
    guesses = np.eye(5, dtype=bool)[scores.argmax(1)]
    *present, absent = class_scores(probabilities, targets, multi_label=False)
    for c, found in enumerate(present):
        hits = (guesses[:, c] & wanted[:, c]).sum()
        recall, precision = hits / wanted[:, c].sum(), hits / max(guesses[:, c].sum(), 1)
        assert found.count == wanted[:, c].sum()
        assert found.average_precision == pytest.approx(average_precision(scores[:, c], wanted[:, c]))
        assert found.auc == pytest.approx(area(scores[:, c], wanted[:, c]))
        assert (found.recall, found.precision) == pytest.approx((recall, precision))
        assert found.f1 == pytest.approx(2 * recall * precision / max(recall + precision, 1e-9))
    assert absent.count == 0
    assert all(
        math.isnan(value) for value in (absent.average_precision, absent.auc, absent.recall or math.nan)
    )


def test_several_labels_have_no_decisions() -> None:
    probabilities, targets = material(50, 5, single=False)
    assert {
        (each.recall, each.precision, each.f1) for each in class_scores(probabilities, targets, True)
    } == {(None, None, None)}


def test_confusions_are_counted_by_class_and_guess() -> None:
    probabilities, targets = material(50, 4, single=True)
    expected = np.zeros((4, 4), int)
    for scores, wanted in zip(probabilities, targets, strict=True):
        expected[int(wanted.argmax()), int(scores.argmax())] += 1
    assert confusion_matrix(probabilities, targets).tolist() == expected.tolist()
    assert expected.tolist() != expected.T.tolist()


PROCESS = """
import sys
import torch
import torch.distributed as distributed
from test_metrics import material
from diffres_cli.evaluation.metrics import TaggingMetrics

rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
probabilities, targets = material(41, 5, single=True, empty=1)
measure = TaggingMetrics(multi_label=False)
measure.update(probabilities[rank::2], targets[rank::2])
print(sorted((name, round(float(value), 5)) for name, value in measure.compute().items()))
distributed.destroy_process_group()
"""


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "meet")],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=PATIENCE)[0].splitlines()[-1] for process in processes]
    alone = measured(*material(41, 5, single=True, empty=1), multi_label=False)
    assert said == 2 * [str(sorted((name, round(value, 5)) for name, value in alone.items()))]
