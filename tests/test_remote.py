"""Recordings and results anywhere fsspec reaches, in a file system that is not the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffres_cli.audio.find import UnsearchedError
from diffres_cli.batch.ray.remote import Store, find_remote
from diffres_cli.errors import OutputError

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.local import LocalFileSystem  # noqa: E402


class Elsewhere(LocalFileSystem):
    """Files that are not the machine's own, as far as anyone can tell."""

    protocol = "elsewhere"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    fsspec.register_implementation("elsewhere", Elsewhere, clobber=True)
    return tmp_path / "far"


def test_a_folder_anywhere_is_searched_as_one_here(elsewhere):
    for name in ("b.wav", "a.OGG", "notes.txt", ".hidden.wav", "deep/c.flac", ".git/d.wav"):
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / name).write_bytes(b"x")

    def found(url: str, recursive: bool = False) -> list[str]:
        return [str(item).removeprefix(f"elsewhere://{elsewhere}/") for item in find_remote(url, recursive)]

    assert found(f"elsewhere://{elsewhere}") == ["a.OGG", "b.wav"]
    assert found(f"elsewhere://{elsewhere}", recursive=True) == ["a.OGG", "b.wav", "deep/c.flac"]
    assert found(f"elsewhere://{elsewhere}/*.wav") == ["b.wav"]
    assert found(f"elsewhere://{elsewhere}/notes.txt") == ["notes.txt"]  # named itself, it is tried
    (elsewhere / "empty").mkdir()
    (nothing,) = find_remote(f"elsewhere://{elsewhere}/empty")
    assert isinstance(nothing, UnsearchedError)
    (nothing,) = find_remote(f"elsewhere://{elsewhere}/empty", recursive=True)
    assert not isinstance(nothing, UnsearchedError)
    assert "empty: no audio there" in str(nothing)


def test_a_store_writes_whole_files_or_says_why_not(elsewhere):
    store = Store(f"elsewhere://{elsewhere}")
    store.make()
    store.write("a.parquet", b"first")
    store.write("a.parquet", b"second")
    assert store.parts() == ["a.parquet"]
    assert store.open("a.parquet").read() == b"second"
    assert [path.name for path in elsewhere.iterdir()] == ["a.parquet"]
    store.remove("a.parquet")
    store.remove("a.parquet")
    assert store.parts() == []
    elsewhere.rmdir()
    with pytest.raises(OutputError, match=r"cannot write elsewhere://.*b\.parquet"):
        store.write("b.parquet", b"x")
    with pytest.raises(OutputError, match="cannot read"):
        store.open("a.parquet")
