"""Plans: read, spread out into cells, refused with all their faults at once. Without torch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command import invoke
from comparison_runs import plan_of, spread_out
from dataset_trees import esc50
from repository import loaded_by

from diffres_cli.comparison.cells import cells_of
from diffres_cli.comparison.checks import load_plan
from diffres_cli.comparison.plan import shipped_plans
from diffres_cli.errors import UsageError

GRID = """
title = "Ours"
kind = "table1"
[fields]
training.epochs = 3
[variants]
"no guide" = { loss.guide = 0.0 }
[axes]
dataset = "esc10"
fold = [1, 2]
[[grid]]
reduction = ["average-pool", "diffres"]
fps = [25, 50]
seed = [0, 1]
[[grid]]
fps = 75
variant = ["full", "no guide"]
fields = { optimizer.lr = 0.5 }
[baseline]
reduction = "hop"
fps = 100
"""


def fault(text: str, folder: Path) -> str:
    """What is said of a plan."""
    (folder / "mine.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_plan(str(folder / "mine.toml"))
    return str(caught.value).removeprefix(f"{folder}/")


def test_every_combination_of_a_grid_is_a_cell_and_nothing_else() -> None:
    plan, cells = spread_out(GRID)
    assert (plan.title, plan.kind, plan.name) == ("Ours", "table1", "mine")
    compared = [cell for cell in cells if not cell.baseline]
    assert len(compared) == 2 * 2 * 2 * 2 + 2 * 2
    assert len(cells) == len(compared) + 2
    assert len({cell.folder for cell in cells}) == len(cells)


def test_a_cell_is_trained_for_its_rate_alone_unless_it_is_elastic() -> None:
    fixed = spread_out(GRID)[1][0]
    assert (fixed.recipe.rate.minimum, fixed.recipe.rate.maximum, fixed.rates) == (25, 25, (25,))
    (elastic,) = spread_out('kind = "table1"\n[grid]\ndataset = "nsynth"\nfps = [50, 25]\nelastic = true')[1]
    assert (elastic.recipe.rate.minimum, elastic.recipe.rate.maximum, elastic.rates) == (25, 50, (25, 50))


def test_fields_come_from_the_datasets_recipe_the_plan_the_grid_and_the_variant_in_that_order() -> None:
    cells = spread_out(GRID)[1]
    usual, changed = cells[0].recipe, cells[-3].recipe
    assert (usual.model.width, usual.training.epochs, usual.optimizer.lr) == (0.4, 3, 5e-4)
    assert (changed.optimizer.lr, changed.loss.guide, cells[-3].variant) == (0.5, 0.0, "no guide")


def test_seeds_come_one_after_another_so_that_a_table_of_one_is_soon_there() -> None:
    seeds = [cell.recipe.training.seed for cell in spread_out(GRID)[1][:16]]
    assert seeds == [0] * 8 + [1] * 8


def test_a_plan_may_start_from_a_recipe_beside_it(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text("[model]\nwidth = 0.25\n")
    (tmp_path / "p.toml").write_text(
        'kind = "table1"\nrecipe = "small.toml"\n[grid]\ndataset = "nsynth"\nfps = 25\n'
    )
    (cell,) = load_plan(str(tmp_path / "p.toml"))[1]
    assert (cell.recipe.model.width, cell.recipe.data.dataset, cell.name) == (
        0.25, "nsynth", "nsynth paper diffres 25fps seed0",
    )  # fmt: skip


def test_where_the_data_lies_decides_nothing_and_everything_else_does() -> None:
    plan = plan_of(GRID)
    cells = cells_of(plan)
    assert cells_of(plan, {"data.root": "/elsewhere"}) == cells
    other = cells_of(plan, {"training.epochs": 4})
    assert not {cell.key for cell in cells} & {cell.key for cell in other}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "table9"\n[grid]\ndataset = "esc10"', ["kind is 'table9', must be table1, table2"]),
        ("", ["kind is ''", "there is no [grid]"]),
        ('kind = "table1"\ngird = 1\n[grid]\n', ["no entry gird; nearest: 'grid'", "grid: no dataset"]),
        ('kind = "table1"\n[grid]\ndataset = "nsynth"\nfsp = 2', ["no axis fsp; nearest: 'fps'"]),
        (
            'kind = "table1"\n[fields]\nmodel.widht = 1\ntraining.epochs = "two"\n[grid]\ndataset = "esc10"',
            ["there is no field model.widht; nearest: 'model.width'", "training.epochs is 'two'"],
        ),
        (
            'kind = "table1"\n[variants]\na = { loss.guide = 0.0 }\n[grid]\ndataset = "esc"\nvariant = "aa"',
            ["grid: there is no variant aa; nearest: 'a'"],
        ),
        ('kind = "table1"\n[variants]\nfull = {}\n[grid]\ndataset = "esc10"', ["choose another name"]),
        (
            'kind = "table1"\n[[grid]]\ndataset = "esc10"\nfps = [0, "x"]\nseed = -1\nhop = []\n[[grid]]\n'
            "dataset = 3\nfold = [1, 1]\nelastic = 1",
            [
                "grid 1: fps has 0.0, must be a number above 0", "fps has 'x'", "grid 1: seed has -1",
                "grid 1: hop is empty", "grid 2: dataset has 3, must be text", "fold has a value twice",
                "elastic is 1, must be true or false",
            ],
        ),
    ],
)  # fmt: skip
def test_all_faults_of_a_plan_are_told_at_once(text: str, words: list[str], tmp_path: Path) -> None:
    told = fault(text, tmp_path)
    assert [word for word in words if word not in told] == [], told
    assert told.startswith("mine.toml: ")


IMPOSSIBLE = """
kind = "table1"
[axes]
fpss = 1
seed = [0, 1]
[[grid]]
dataset = "speechcommands"
front_end = ["paper", "leav"]
reduction = "averagepool"
fps = 25
[[grid]]
dataset = "speechcommands"
front_end = "leaf"
reduction = "hop"
fps = 50
[[grid]]
dataset = "speechcommands"
hop = 30
fps = 20
[[grid]]
dataset = "speechcommands"
hop = 10
fps = [101, 0.5]
[[grid]]
dataset = "esc10"
fold = 6
fps = 25
[[grid]]
dataset = "nsynth"
fold = 1
fps = 25
[[grid]]
dataset = "nsinth"
fps = 25
"""


def test_impossible_cells_are_told_at_once_each_with_what_is_allowed(tmp_path: Path) -> None:
    told = fault(IMPOSSIBLE, tmp_path)
    words = [
        "model.front_end is leav, must be paper, audioset-small, leaf",
        "model.reduction is averagepool, must be",
        "there is no axis fpss; nearest: 'fps'",
        "'hop' needs mel (front_end paper, audioset-small) or stft, not leaf",
        "model.hop is 30 ms, must be at most the window (25 ms)",
        "rate.maximum is 101, must be at most the front end's rate (100)",
        "0.5 fps of a clip of 1 s are 0.5 frames, and the classifier needs 8: at least 8 fps",
        "fold 6 of esc10: choose among 1, 2, 3, 4, 5, with the axis fold",
        "fold 1 of nsynth, which has no folds",
        "no dataset 'nsinth'; nearest: 'nsynth'",
    ]  # fmt: skip
    assert [word for word in words if word not in told] == [], told
    assert told.startswith("mine.toml: 10 faults: ")
    assert (
        "[speechcommands leav averagepool 25fps seed0, speechcommands leav averagepool 25fps seed1]" in told
    )


def test_a_fault_of_many_cells_names_a_few(tmp_path: Path) -> None:
    told = fault(
        'kind = "table1"\n[grid]\ndataset = "nsynth"\nfps = [101, 102]\nseed = [0, 1, 2, 3, 4]', tmp_path
    )
    assert "nsynth paper diffres 101fps seed2 and 2 more]" in told


def test_cells_that_no_table_could_tell_apart_are_refused(tmp_path: Path) -> None:
    told = fault(
        'kind = "table1"\n[axes]\ndataset = "nsynth"\nfps = 25\n[[grid]]\n'
        "[[grid]]\nfields = { loss.guide = 0.0 }",
        tmp_path,
    )
    assert "cells that differ in fields alone must have names" in told
    assert "[nsynth paper diffres 25fps seed0]" in told


def test_what_a_front_end_has_anyway_makes_no_other_cell() -> None:
    grid = 'kind = "table1"\n[grid]\ndataset = "nsynth"\nfps = 25\n'
    usual, said, other = (spread_out(grid + more)[1] for more in ("", "hop = 10\n", "hop = 5\n"))
    assert usual == said != other


def test_an_axis_cannot_be_set_from_outside() -> None:
    plan = plan_of(GRID)
    for field in ("training.seed", "rate.minimum"):
        with pytest.raises(UsageError, match=f"{field} cannot be set: the plan's axis"):
            cells_of(plan, {field: 7})
    with pytest.raises(UsageError, match=r"settings: there is no field training\.epoch; nearest: "):
        cells_of(plan, {"training.epoch": 7})


def test_the_shipped_plans_are_sound() -> None:
    kinds = {name: load_plan(name)[0].kind for name in shipped_plans()}
    assert {"table1", "table2", "table3", "figure5", "figure6", "figure7", "figure8"} <= {*kinds}
    assert all(kinds[name] == name for name in set(kinds.values()))


def test_plans_that_share_cells_share_their_folders() -> None:
    def folders(name: str, variant: str = "full") -> set[str]:
        return {cell.folder for cell in load_plan(name)[1] if cell.variant == variant}

    for small in ("arabic-figure6", "arabic-figure7", "arabic-figure8"):
        assert folders(small) <= folders("arabic-table1")
    for paper in ("figure6", "figure7", "figure8"):
        assert folders(paper) <= folders("table1")


def test_the_command_refuses_what_is_not_right_before_anything_runs(tmp_path: Path) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text(IMPOSSIBLE)
    out = tmp_path / "out"
    for words, told in (
        ([plan], "10 faults: axes: there is no axis fpss"),
        (["tabel1"], "tabel1: no such file, and no plan of that name; nearest: 'table1'"),
        ([], "give a plan"),
        (["table1", "--data", "esc50"], "--data esc50: write NAME=DIR"),
        (["table1", "--data", "esc5=x"], "no dataset 'esc5'; nearest: 'esc50'"),
        (["table1", "--devices", "tpu"], "--devices tpu: choose auto"),
        (
            ["table1", "--devices", "cuda:1", "-j", "0"],
            "with -j 0, in this process, choose auto",
        ),
        (["table1", "-f", "html"], "--format html: choose markdown, csv, latex"),
        (
            ["arabic-table1", "--data", f"arabic-speechcommands={tmp_path}"],
            "[arabic-speechcommands paper hop",
        ),
        (["arabic-figure6", "-o", out, "--table-only"], None),
    ):
        result = invoke("compare", *words, "-o", out)
        if told is None:
            assert (result.code, "there is no table" in result.complaint) == (3, True)
            continue
        assert (result.code, told in result.complaint) == (2, True), result
        assert not out.exists()


def test_plans_are_listed_and_their_cells_with_no_torch_loaded(tmp_path: Path) -> None:
    listed = invoke("compare", "--plans")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == ["name", *shipped_plans()]
    dry = f"['compare', 'arabic-table1', '--dry-run', '-o', {str(tmp_path)!r}]"
    code = f"from diffres_cli.cli.main import run; assert run({dry}) == 0"
    assert loaded_by(code, {"torch", "lightning", "matplotlib"}) == set()


def test_a_dry_run_says_which_cells_have_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFRES_DATA", str(tmp_path / "none"))
    (tmp_path / "mine.toml").write_text(GRID.replace('"esc10"', '["esc10", "esc50"]'))
    command = ("compare", tmp_path / "mine.toml", "-o", tmp_path / "out", "--dry-run")
    result = invoke(*command, "--data", f"esc50={esc50(tmp_path / 'ESC-50')}")
    assert result.code == 0
    states = {(row.split()[0], " ".join(row.split()[-3:-1])) for row in result.out.splitlines()[1:]}
    assert states == {("esc10", "no data"), ("esc50", "to do")}
    assert re.search(r"esc10.*--data NAME=DIR.* \[22 cells\]$", result.complaint)
    assert not (tmp_path / "out").exists()
