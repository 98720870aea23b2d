"""What the tests of the hub share: a server, an empty cache, and the shipped model as a repository."""

import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from hub_server import Hub

from diffres_cli.checkpoint.find import find_model, hub_models, shipped_models
from diffres_cli.errors import ModelError

SHIPPED = shipped_models()["audioset-small"]
NAME = "hf:org/small"
MODEL = (SHIPPED / "model.onnx").read_bytes()


def served(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with `hf:org/small`, which this process and its children use, and its cache, empty."""
    with Hub() as server:
        server.add("org/small", SHIPPED)
        for name, value in settings(server, cache).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        # The library read its variables when it was imported.
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache.parent / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server


def settings(server: Hub, cache: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(cache.parent),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "diffres_cli", *arguments]


def files_in(cache: Path) -> set[str]:
    """The names of the files in the snapshots of a cache; dangling links are none."""
    return {path.name for path in cache.glob("models--*/snapshots/*/*") if path.exists()}


def partial(cache: Path) -> int:
    """Bytes of downloads that were cut off."""
    return sum(path.stat().st_size for path in cache.glob("models--*/blobs/*.incomplete"))


def assert_nothing_usable() -> None:
    assert hub_models() == {}
    with pytest.raises(ModelError, match="not in the cache"):
        find_model(NAME, offline=True)
