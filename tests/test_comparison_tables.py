"""Tables and figures from the folders of cells, written by hand: what stands where, and beside what."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
from comparison_runs import spread_out, write_log, write_result

from diffres_cli.comparison.curves import read_log
from diffres_cli.comparison.folder import CellFolder, read_results
from diffres_cli.comparison.markup import Row, Table, TableValue, as_csv, latex, markdown
from diffres_cli.comparison.paper import hop_of
from diffres_cli.comparison.report import write_report
from diffres_cli.comparison.tables import table_of

TABLE1 = """
title = "Reductions"
kind = "table1"
[fields]
training.epochs = 7
training.batch_size = 48
model.init = ""
optimizer.schedule = "cosine"
[[grid]]
dataset = ["nsynth", "arabic-speechcommands"]
reduction = ["average-pool", "diffres"]
fps = [25, 50]
seed = [0, 1]
[[baseline]]
dataset = ["nsynth", "arabic-speechcommands"]
reduction = "hop"
fps = 100
"""


@pytest.fixture
def table1(tmp_path: Path) -> Table:
    """Everything scored but DiffRes at 50 fps; seed 1 two points more than seed 0, DiffRes four."""
    plan, cells = spread_out(TABLE1)
    for cell in cells:
        model, seed = cell.recipe.model, cell.recipe.training.seed
        gained = 4 * (model.reduction == "diffres") + 2 * seed + (10 if cell.baseline else 0)
        if (model.reduction, cell.rates) != ("diffres", (50.0,)):
            write_result(cell, tmp_path, {cell.rates[0]: (70 + gained) / 100})
    return table_of(plan, cells, read_results(cells, tmp_path))


def test_table_1_in_markdown(table1: Table) -> None:
    assert markdown(table1) == (
        "**Reductions**\n\n"
        "| dataset | reduction | 25 fps | 25 fps, paper | 50 fps | 50 fps, paper |\n"
        "| --- | --- | ---: | ---: | ---: | ---: |\n"
        "| nsynth (80.0, paper 79.9) | AvgPool | 71.0 ± 1.4 | 78.3 | 71.0 ± 1.4 | 79.5 |\n"
        "| nsynth (80.0, paper 79.9) | DiffRes | 75.0 ± 1.4 | 80.5 | – | 81.0 |\n"
        "| arabic-speechcommands (80.0) | AvgPool | 71.0 ± 1.4 | – | 71.0 ± 1.4 | – |\n"
        "| arabic-speechcommands (80.0) | DiffRes | 75.0 ± 1.4 | – | – | – |\n\n"
        "Accuracy in %; mean ± standard deviation (n - 1) over seeds and folds, without ± a single run.\n\n"
        "Each cell: model.architecture differs, 7 epochs, batches of 48, optimizer.lr differs, cosine "
        "schedule.\n\n"
        "4 of 18 cells have no result yet.\n"
    )


def test_table_1_in_latex_and_csv(table1: Table) -> None:
    assert r"nsynth (80.0, paper 79.9) & AvgPool & 71.0 $\pm$ 1.4 & 78.3 & 71.0 $\pm$ 1.4 & 79.5 \\" in latex(
        table1
    )
    assert latex(table1).count(r"\hline") == 3
    assert r"\caption{Reductions. Accuracy in \%; mean" in latex(table1)
    rows = list(csv.DictReader(io.StringIO(as_csv(table1))))
    assert rows[0] == {
        "dataset": "nsynth (80.0, paper 79.9)", "reduction": "AvgPool", "column": "25 fps",
        "mean": rows[0]["mean"], "standard deviation": rows[0]["standard deviation"], "paper": "78.3",
    }  # fmt: skip
    assert float(rows[0]["mean"]) == pytest.approx(71)
    assert float(rows[0]["standard deviation"]) == pytest.approx(math.sqrt(2))


def test_what_latex_would_misread_is_escaped() -> None:
    table = Table("50 % of A&B", ("a_b",), ("#1",), (Row(("{x}~^\\",), (TableValue(1.0),)),))
    text = latex(table)
    for escaped in (
        r"50 \% of A\&B",
        r"a\_b & \#1",
        r"\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{}",
    ):
        assert escaped in text


def test_a_pipe_in_a_name_does_not_end_a_markdown_cell() -> None:
    assert "| a\\|b | 1.0 |" in markdown(Table("", ("x",), ("y",), (Row(("a|b",), (TableValue(1.0),)),)))


def test_a_paper_figure_stands_only_beside_the_same_data_and_the_same_method(tmp_path: Path) -> None:
    plan, cells = spread_out(
        'kind = "table1"\n[variants]\ndilated = { model.dilation = 2 }\n[axes]\nfps = 25\n'
        '[[grid]]\ndataset = ["esc10", "esc50"]\nfold = 1\n'
        '[[grid]]\ndataset = "nsynth"\nfront_end = ["paper", "leaf"]\nvariant = ["full", "dilated"]\n'
        '[[grid]]\ndataset = "nsynth"\nreduction = "max-pool"\n'
    )
    for cell in cells:
        write_result(cell, tmp_path, {25.0: 0.5})
    table = table_of(plan, cells, read_results(cells, tmp_path))
    published = {row.labels: row.values[0].paper for row in table.rows if row.values[0]}
    assert published == {
        ("esc10", "Mel (32 kHz) + DiffRes"): None, ("esc50", "DiffRes"): 82.9, ("nsynth", "DiffRes"): 80.5,
        ("nsynth", "DiffRes, dilated"): None, ("nsynth", "LEAF + DiffRes"): None,
        ("nsynth", "LEAF + DiffRes, dilated"): None, ("nsynth", "MaxPool"): None,
    }  # fmt: skip


def test_table_2_has_a_column_for_each_hop(tmp_path: Path) -> None:
    plan, cells = spread_out(
        'title = "Hops"\nkind = "table2"\n[[grid]]\ndataset = ["esc10", "speechcommands"]\nfold = 0\n'
        "hop = [10, 6, 3]\nfps = 100\n"
    )
    for cell in cells:
        write_result(cell, tmp_path, {100.0: hop_of(cell) / 20})
    lines = markdown(table_of(plan, cells, read_results(cells, tmp_path))).splitlines()
    assert lines[2] == (
        "| dataset | reduction | fps | 10 ms | 10 ms, paper | 6 ms | 6 ms, paper | 3 ms | 3 ms, paper |"
    )
    assert lines[5] == "| speechcommands | DiffRes | 100 | 50.0 | 97.2 | 30.0 | 97.6 | 15.0 | 97.9 |"


def test_table_3_counts_what_is_learned_before_the_classifier(tmp_path: Path) -> None:
    plan, cells = spread_out(
        'title = "Front ends"\nkind = "table3"\n[axes]\ndataset = ["speechcommands", "nsynth"]\nfps = 100\n'
        '[[grid]]\nfront_end = ["paper", "leaf"]\nreduction = "average-pool"\n'
        "[[grid]]\nreduction = 'diffres'\nhop = 3\n"
    )
    for cell in cells:
        leaf = cell.recipe.model.front_end == "leaf"
        sizes = {"front_end": 448 if leaf else 0, "importance": 82371 if cell.recipe.model.hop else 0}
        write_result(cell, tmp_path, {100.0: 0.9}, parameters={**sizes, "backbone": 5_000_000})
    lines = markdown(table_of(plan, cells, read_results(cells, tmp_path))).splitlines()
    assert lines[4:7] == [
        "| Mel | 100 | 0 | 90.0 | 93.6 | 90.0 | 70.7 |",
        "| LEAF | 100 | 448 | 90.0 | 93.6 | 90.0 | 70.2 |",
        "| Mel + DiffRes, 3 ms hop | 100 | 82,371 | 90.0 | 95.4 | 90.0 | 78.5 |",
    ]


def test_figure_8_takes_differences_seed_by_seed(tmp_path: Path) -> None:
    plan, cells = spread_out(
        'title = "Ablations"\nkind = "figure8"\n[variants]\n"no guide" = { loss.guide = 0.0 }\n'
        '"unseen" = { model.maximum = false }\n[grid]\ndataset = "nsynth"\nfps = 25\nseed = [0, 1, 2]\n'
        'variant = ["full", "no guide", "unseen"]\n'
    )
    scores = {"full": (0.5, 0.7, 0.9), "no guide": (0.49, 0.69, None)}
    for cell in cells:
        score = scores.get(cell.variant, (None,) * 3)[cell.recipe.training.seed]
        if score is not None:
            write_result(cell, tmp_path, {25.0: score})
    table = write_report(plan, cells, tmp_path)
    assert table
    assert markdown(table).splitlines()[4:7] == [
        "| nsynth | 25 | full | 70.0 ± 20.0 | – |",
        "| nsynth | 25 | no guide | 59.0 ± 14.1 | -1.00 ± 0.00 |",
        "| nsynth | 25 | unseen | – | – |",
    ]
    assert (tmp_path / "mine.png").read_bytes()[:4] == b"\x89PNG"
    assert "no guide" in (tmp_path / "mine.svg").read_text()


STEPS = """
title = "While training"
kind = "figure6"
[grid]
dataset = "nsynth"
fps = [25, 50]
seed = [0, 1]
"""


def test_activeness_is_averaged_over_seeds_by_step(tmp_path: Path) -> None:
    plan, cells = spread_out(STEPS)
    for cell in cells[:3]:  # both of 25 fps, one of 50, and none of another
        seed = cell.recipe.training.seed
        rows = [{"step": step, "train/activeness": 0.1 * seed + step / 1000} for step in range(0, 400, 10)]
        write_result(cell, tmp_path, {cell.rates[0]: 0.5}, logged=[*rows, {"step": 399, "validation": 1}])
    table = write_report(plan, cells, tmp_path)
    assert table
    text = markdown(table)
    assert text.splitlines()[2] == "| dataset | reduction | fps | 0–25 % | 25–50 % | 50–75 % | 75–100 % |"
    assert "| nsynth | DiffRes | 25 | 0.095 ± 0.071 | 0.195 ± 0.071 | 0.295 ± 0.071 | 0.395 ± 0.071 |" in text
    assert "| nsynth | DiffRes | 50 | 0.045 | 0.145 | 0.245 | 0.345 |" in text
    assert "1 of 4 cells have not started." in text
    picture = (tmp_path / "mine.svg").read_text()
    assert ("25 fps" in picture, "50 fps" in picture, "Training step" in picture) == (True,) * 3


def test_a_session_that_repeats_steps_overrules_the_one_before(tmp_path: Path) -> None:
    for session, steps in ((0, (0, 10, 20)), (2, (20, 30)), (10, (30,))):
        write_log(tmp_path, session, [{"step": step, "train/guide": session} for step in steps])
    assert read_log(tmp_path, "train/guide") == {0: 0, 10: 0, 20: 2, 30: 10}
    assert read_log(tmp_path, "train/activeness") == {}
    assert read_log(tmp_path / "nowhere", "train/guide") == {}


def test_throughput_is_told_with_the_ratio_of_the_same_round(tmp_path: Path) -> None:
    plan, cells = spread_out(
        'title = "Speed"\nkind = "figure5"\n[axes]\ndataset = "audioset"\nfront_end = ["paper", "leaf"]\n'
        'reduction = "average-pool"\n[grid]\nfps = [50, 100]\n'
        '[baseline]\nfront_end = "paper"\nreduction = "hop"\nfps = 100\n'
    )
    took = {"hop": [0.1, 0.2, 0.1], "paper": [0.05, 0.1, 0.05], "leaf": [0.4, 0.8, 0.4]}
    seconds = {}
    for cell in cells:
        model = cell.recipe.model
        name = "hop" if cell.baseline else model.front_end
        if (name, cell.rates) != ("leaf", (50.0,)):
            seconds[f"{cell.key} {cell.rates[0]:g}"] = took[name]
    held = {"machine": "a box", "device": "cpu", "threads": 1, "seconds": seconds}
    (tmp_path / "mine.measured.json").write_text(json.dumps(held | {"failures": {"x": "MemoryError: no"}}))
    table = write_report(plan, cells, tmp_path)
    assert table
    text = markdown(table)
    assert "| Mel + AvgPool | 20.0 | 2.00 ± 0.00 | 20.0 | 2.00 ± 0.00 |" in text
    assert "| LEAF + AvgPool | – | – | 2.5 | 0.25 ± 0.00 |" in text
    assert "cpu, 1 thread; a box." in text
    assert "×: how many times as fast as Mel + Change hop at 100 fps in the same round, median" in text
    assert "Not measured: MemoryError: no." in text


def test_a_cell_of_an_older_network_has_no_result(tmp_path: Path) -> None:
    _, cells = spread_out(TABLE1)
    write_result(cells[0], tmp_path, {25.0: 0.5})
    assert len(read_results(cells, tmp_path)) == 1
    (CellFolder(cells[0], tmp_path).run.path / "weights.safetensors").write_bytes(b"another")
    assert read_results(cells, tmp_path) == []
