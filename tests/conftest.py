"""For all tests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from hub_commands import Done
    from hub_server import Hub

# A runner started in the background by a shell ignores Ctrl-C, and its children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take as long as it likes: a busy machine, or the first use of a library, is no failure.
settings.register_profile("diffres", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("diffres")

# Torch's threads fight over the cores with ONNX Runtime's and with whatever else runs: one is faster here.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache of waveforms for all runs of a module."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DIFFRES_DATA", str(tmp_path_factory.mktemp("home")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips to train on; see `write_clips`."""
    from training_runs import write_clips  # loads torch

    return write_clips(tmp_path_factory.mktemp("data") / "clips")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where the hub's models go, empty."""
    return tmp_path / "home" / "hub"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback; see `hub_cache.served`."""
    from hub_cache import served  # loads the HTTP library, which few tests need

    yield from served(cache, monkeypatch)


@pytest.fixture
def diffres(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """A command line, run in this process."""
    from hub_commands import Done

    from diffres_cli.cli.main import run

    def call(*arguments: str) -> Done:
        capfd.readouterr()
        code = run(list(arguments))
        return Done(code, *capfd.readouterr())

    return call


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an empty folder of the user's own, without DIFFRES_* variables."""
    import typer

    for name in os.environ:
        if name.startswith("DIFFRES_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (work := tmp_path / "work").mkdir()
    monkeypatch.chdir(work)
    own = Path(typer.get_app_dir("diffres"))
    own.mkdir(parents=True)
    return own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped checkpoint, to publish or to spoil."""
    from hub_cache import SHIPPED

    return shutil.copytree(SHIPPED, tmp_path / "mine")


@pytest.fixture
def owner(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who may write to the hub."""
    from hub_server import TOKEN

    monkeypatch.setenv("HF_TOKEN", TOKEN)
