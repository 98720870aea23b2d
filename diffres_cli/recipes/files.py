"""Recipes as TOML: the shipped ones, a user's own, and single fields from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from diffres_cli.datasets.catalog import SOURCES, find_source
from diffres_cli.errors import SettingError, UsageError
from diffres_cli.files import parse_toml, read_toml
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.text import nearest

RECIPES = Path(__file__).parent


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        UsageError: unreadable, or a field nobody knows, named with the nearest one there is.
    """
    return from_plain(read_toml(path), path)


def from_plain(tables: Mapping[str, Any], path: Path) -> Recipe:
    """The recipe whose tables stand in a file; fields that are not there have their defaults.

    Raises:
        UsageError: a field nobody knows, or a value of another type.
    """
    values = {}
    for table, fields in tables.items():
        if not isinstance(fields, dict):
            raise UsageError(f"{path}: {table} is in no table; {nearest(table, Recipe().flat(), cutoff=0)}")
        values.update({f"{table}.{name}": value for name, value in fields.items()})
    return Recipe().changed(values, str(path))


def to_toml(recipe: Recipe) -> str:
    """The recipe as `read_recipe` reads it."""
    return tomli_w.dumps(recipe.plain())


def recipe_for(dataset: str) -> Recipe:
    """The recipe shipped for a dataset; the defaults for one without."""
    path = RECIPES / f"{dataset}.toml"
    return read_recipe(path) if path.exists() else completed(Recipe().changed({"data.dataset": dataset}, ""))


def completed(recipe: Recipe) -> Recipe:
    """The recipe with the dataset's own `data.seconds` where it has none, if that is known unread."""
    name = recipe.data.dataset
    if recipe.data.seconds or not (name in SOURCES or ":" in name):
        return recipe
    return recipe.changed({"data.seconds": find_source(name).seconds}, "")


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """What --set was given, "table.field=value", as fields and values.

    >>> parse_settings(["optimizer.lr=1e-3", "data.train=[\\"train\\"]", "model.init=imagenet"])
    {'optimizer.lr': 0.001, 'data.train': ['train'], 'model.init': 'imagenet'}
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise SettingError("set", setting, "write table.field=value, such as optimizer.lr=1e-3")
        try:
            values[name.strip()] = parse_toml(f"value = {text}")["value"]
        except ValueError:
            values[name.strip()] = text.strip()  # a word without quotes
    return values


def rate_fields(low: float, high: float) -> dict[str, Any]:
    """The fields of a network that serves frame rates from `low` to `high`, fps, which may be equal.

    >>> rate_fields(25, 25)["rate.validation"], rate_fields(15, 60)["rate.default"]
    ([25.0], 50.0)
    """
    kept = [rate for rate in (25.0, 50.0, 100.0) if low <= rate <= high]
    return {
        "rate.minimum": low,
        "rate.maximum": high,
        "rate.default": min(max(50.0, low), high),
        "rate.validation": kept or [low],
    }
