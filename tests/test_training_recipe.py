"""Recipes: the paper's numbers, fields refused by name, and what a run writes down."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import invoke

from diffres_cli.datasets.catalog import SOURCES
from diffres_cli.errors import UsageError
from diffres_cli.recipes.files import RECIPES, parse_settings, read_recipe, recipe_for, to_toml
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.recipes.rules import checked
from diffres_cli.training.module import lr_factor

# Table 4: learning rate, epochs, batch size; from which epoch, times what, every how many. Table 5: seconds.
PAPER = {
    "audioset": (1e-4, 30, 22, (11, 0.5, 5), 10.0),
    "fsd50k": (5e-4, 40, 15, (21, 0.5, 5), 30.0),
    "esc50": (2.5e-4, 80, 32, (41, 0.95, 1), 5.0),
    "speechcommands": (2.5e-4, 60, 128, (25, 0.9, 1), 1.0),
    "nsynth": (1e-4, 30, 48, (11, 0.85, 1), 4.0),
}


@pytest.mark.parametrize("name", PAPER)
def test_recipes_are_the_papers(name: str) -> None:
    recipe = recipe_for(name)
    table = recipe.optimizer
    found = (
        table.lr,
        recipe.training.epochs,
        recipe.training.batch_size,
        (table.first, table.factor, table.every),
    )
    assert (*found, recipe.data.seconds) == PAPER[name]
    assert recipe.model.architecture == "efficientnet_b2"
    augment = recipe.augment
    assert (augment.mixup, augment.frequency_mask, augment.time_mask) == (0.5, 0.375, 0.5)
    assert recipe.data.rebalance == (name in ("audioset", "fsd50k"))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_clips_are_as_long_as_their_dataset_says(name: str, tmp_path: Path) -> None:
    assert recipe_for(name).data.seconds == SOURCES[name].seconds
    (tmp_path / "mine.toml").write_text(f"[data]\ndataset = '{name}'\n")
    shown = invoke("train", "--recipe", tmp_path / "mine.toml", "--show")
    assert f"seconds = {SOURCES[name].seconds:.1f}\n" in shown.out
    (tmp_path / "bare.toml").write_text("[training]\nepochs = 3\n")
    shown = invoke("train", "--recipe", tmp_path / "bare.toml", "--dataset", name, "--show")
    assert f"seconds = {SOURCES[name].seconds:.1f}\n" in shown.out


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_carried_out(path: Path) -> None:
    recipe = read_recipe(path)
    if path.stem == "soft-labels":
        recipe = recipe.changed({"data.soft_labels": "somewhere"}, "--set")
    assert checked(recipe).rate.minimum < recipe.rate.maximum  # elastic


def test_a_recipe_survives_its_file(tmp_path: Path) -> None:
    recipe = recipe_for("nsynth").changed({"optimizer.lr": 3e-4, "rate.validation": [33.0]}, "--set")
    (tmp_path / "recipe.toml").write_text(to_toml(recipe))
    assert read_recipe(tmp_path / "recipe.toml") == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[optimizer]\nrl = 1\n", ["optimizer.rl", "optimizer.lr"]),
        ("[trainning]\nepochs = 1\n", ["trainning.epochs", "training.epochs"]),
        ("lr = 1\n", ["lr", "optimizer.lr"]),
        ("[training]\nepochs = 1.5\n", ["training.epochs", "1.5", "whole number"]),
        ("[training]\nepochs = true\n", ["training.epochs", "True", "whole number"]),
        ("[data]\ntrain = 'train'\n", ["data.train", "list"]),
        ("[data]\nrebalance = 1\n", ["data.rebalance", "true or false"]),
        ("not toml", ["not TOML"]),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_recipe(path)
    assert all(word in str(caught.value) for word in [str(path), *words]), caught.value


def test_all_faults_are_told_at_once() -> None:
    recipe = Recipe().changed(
        {"rate.minimum": 0.0, "training.ema": 1.0, "optimizer.schedule": "linear"}, "--set"
    )
    with pytest.raises(UsageError) as caught:
        checked(recipe)
    for word in ("data.dataset", "rate.minimum is 0.0", "training.ema is 1.0", "linear"):
        assert word in str(caught.value)


def test_numbers_words_and_lists_can_be_set() -> None:
    given = parse_settings(
        ["optimizer.lr=1e-3", "data.train=['a', 'b']", "model.init=hf:a/b", "training.epochs=3"]
    )
    recipe = Recipe().changed(given, "--set")
    assert (recipe.optimizer.lr, recipe.data.train, recipe.model.init) == (1e-3, ("a", "b"), "hf:a/b")
    with pytest.raises(UsageError, match=r"table\.field=value"):
        parse_settings(["optimizer.lr"])


def test_the_command_shows_the_recipe_in_effect(tmp_path: Path) -> None:
    result = invoke(
        "train", "--dataset", "esc50", "--fold", "3", "--fps", "15-60", "--seed", "7", "--epochs", "2",
        "--set", "optimizer.lr=1e-3", "--show",
    )  # fmt: skip
    (tmp_path / "shown.toml").write_text(result.out)
    recipe = read_recipe(tmp_path / "shown.toml")
    assert (recipe.data.fold, recipe.training.seed, recipe.training.epochs) == (3, 7, 2)
    assert (recipe.rate.minimum, recipe.rate.maximum, recipe.rate.validation) == (15.0, 60.0, (25.0, 50.0))
    assert recipe.optimizer.lr == 1e-3


def test_one_rate_is_one_rate() -> None:
    result = invoke("train", "--dataset", "esc50", "--fps", "25", "--show")
    assert "minimum = 25.0\nmaximum = 25.0\ndefault = 25.0" in result.out


def test_init_brings_its_architecture_and_front_end_along() -> None:
    result = invoke("train", "--dataset", "esc50", "--init", "audioset-small", "--show")
    assert 'architecture = "mobilenet_v3_large"\nwidth = 0.4\nfront_end = "audioset-small"' in result.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "esc50", "--set", "optimizer.lrr=1"], ["optimizer.lrr", "optimizer.lr"]),
        (["--dataset", "esc50", "--fps", "fast"], ["--fps fast", "15-100"]),
        (["--dataset", "esc50", "--fps", "200"], ["rate.maximum is 200", "front end's rate (100)"]),
        (["--dataset", "esc50", "--set", "model.hop=30"], ["model.hop is 30", "the window (25 ms)"]),
        (["--dataset", "esc50", "--set", "model.reduction=median"], ["reduction is median", "max-pool"]),
        (
            ["--dataset", "esc50", "--set", "model.reduction=hop", "--set", "model.front_end=leaf"],
            ["not leaf"],
        ),
        (
            ["--dataset", "esc50", "--set", "model.front_end=cqt", "--set", "model.bins=128"],
            ["front_end cqt: ", "128 bins", "bins 0"],
        ),
        (
            ["--dataset", "esc50", "--set", "model.front_end=stft", "--set", "model.bins=64"],
            ["front_end stft: 64 bins", "256"],
        ),
        (["--dataset", "esc50", "--set", "model.hop=0.01"], ["model.hop is 0.01 ms, less than a sample"]),
        (["--dataset", "esc50", "--fps", "100-25"], ["--fps 100-25", "the lower rate first"]),
        (["--dataset", "esc50", "--set", "loss.guide=nan"], ["loss.guide is nan"]),
        (["--dataset", "esc05"], ["esc05", "esc50"]),
        ([], ["data.dataset", "give a dataset"]),
        (["--resume", "run", "--epochs", "3"], ["--resume run", "leave the other options out"]),
        (["--resume", "nowhere"], ["nowhere", "no run of diffres train"]),
        (["--dataset", "esc50", "--recipe", "none.toml"], ["none.toml: cannot be read"]),
        (["--dataset", "esc50", "--device", "tpu"], ["--device tpu", "auto, cpu or cuda"]),
    ],
)
def test_usage_errors_are_one_line_and_code_2(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    result = invoke("train", *arguments, *([] if "--resume" in arguments else ["-o", tmp_path / "run"]))
    assert result.code == 2
    assert all(word in result.complaint for word in words), result.complaint
    assert not (tmp_path / "run").exists()


def test_the_learning_rate_is_warmed_up_and_brought_down() -> None:
    table = Recipe().changed({"optimizer.warmup": 4, "optimizer.schedule": "cosine"}, "--set").optimizer
    rates = [lr_factor(table, 2, 10, update) for update in range(20)]
    assert rates[:4] == sorted(rates[:4])
    assert rates[0] == pytest.approx(0.25)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[19] < 0.01
    assert lr_factor(table, 2, 10, 10) == pytest.approx(0.5)


def test_steps_cut_the_rate_where_the_paper_does() -> None:
    table = recipe_for("audioset").optimizer
    rates = [lr_factor(table, 30, 5, (epoch - 1) * 5) for epoch in range(1, 31)]
    assert rates[:10] == [1.0] * 10
    assert [rates[epoch - 1] for epoch in (11, 15, 16, 20, 21, 30)] == [0.5, 0.5, 0.25, 0.25, 0.125, 0.0625]
