"""What a server may do to fill a disk, or to have read what is not its own."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from file_server import FileServer
from hub_cache import NAME, assert_nothing_usable
from hub_server import Hub

from diffres_cli.checkpoint.find import install_model
from diffres_cli.errors import DiffresError, ModelError, OutputError
from diffres_cli.transfer import Remote, TransferError, fetch

DATA = bytes(range(256)) * 1000
SUM = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
BOMB = gzip.compress(bytes(50_000_000))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as site:
        site.files["/a"] = DATA
        yield site


def remote(server: FileServer, size: int = len(DATA), checksum: str = SUM) -> Remote:
    return Remote(f"{server.address}/a", size, checksum)


def kept(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def refused(wanted: Remote, folder: Path) -> str:
    """What is said of a file of which nothing is kept."""
    with pytest.raises(TransferError) as caught:
        fetch(wanted, folder / "a", folder / "a.part")
    assert kept(folder) == 0
    return str(caught.value)


@pytest.mark.parametrize("begun", [0, len(DATA) // 2])
def test_a_server_that_sends_without_end_is_stopped(server: FileServer, tmp_path: Path, begun: int) -> None:
    (tmp_path / "a.part").write_bytes(DATA[:begun])
    server.fail("/a", endless=True)
    assert f"more comes than the {len(DATA)} bytes" in refused(remote(server), tmp_path)
    assert server.poured < 50_000_000
    fetch(remote(server), tmp_path / "a", tmp_path / "a.part")
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_model_that_comes_without_end_is_stopped(server: FileServer, hub: Hub, cache: Path) -> None:
    server.fail("/a", endless=True)
    hub.fail("/model.onnx", status=302, headers={"Location": f"{server.address}/a"})
    with pytest.raises(ModelError, match=r"model\.onnx: more comes than the"):
        install_model(NAME)
    assert server.poured < 50_000_000
    assert kept(cache) < 1_000_000
    assert_nothing_usable()


@pytest.mark.parametrize(
    ("name", "error", "why"),
    [("README.md", ModelError, r"README\.md has 1000000000 MB"), ("model.onnx", OutputError, "MB are free")],
)
def test_a_model_larger_than_it_can_be_is_not_begun(
    hub: Hub, name: str, error: type[DiffresError], why: str
) -> None:
    with urlopen(f"{hub.endpoint}/api/models/org/small") as answer:
        facts = json.load(answer)
    (file,) = (file for file in facts["siblings"] if file["rfilename"] == name)
    file.get("lfs", file)["size"] = 10**15
    hub.fail("/api/models/", body=json.dumps(facts).encode())
    with pytest.raises(error, match=why):
        install_model(NAME)
    assert hub.asked(f"/{name}") == []
    assert_nothing_usable()


def test_a_file_larger_than_the_disk_is_not_begun(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"MB are free: make room"):
        fetch(remote(server, 10**15), tmp_path / "a", tmp_path / "a.part")
    assert server.requests == []
    server.fail("/a", headers={"Content-Length": str(10**15)}, after=0)
    with pytest.raises(OutputError, match=r"MB are free: make room"):
        fetch(remote(server, 0, ""), tmp_path / "a", tmp_path / "a.part")
    assert kept(tmp_path) == 0


@pytest.mark.parametrize("size", [len(DATA), len(BOMB)], ids=["of another size", "of the stated size"])
def test_a_compressed_answer_does_not_unfold(server: FileServer, tmp_path: Path, size: int) -> None:
    server.fail("/a", body=BOMB, headers={"Content-Encoding": "gzip"})
    refused(remote(server, size), tmp_path)


def test_a_compressed_answer_of_unstated_size_stays_compressed(server: FileServer, tmp_path: Path) -> None:
    server.fail("/a", body=BOMB, headers={"Content-Encoding": "gzip"})
    fetch(remote(server, 0, ""), tmp_path / "a", tmp_path / "a.part")
    assert (tmp_path / "a").read_bytes() == BOMB


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/a", "data:,a"])
def test_a_redirect_to_another_scheme_leads_nowhere(
    server: FileServer, hub: Hub, tmp_path: Path, place: str
) -> None:
    server.fail("/a", status=302, headers={"Location": place})
    with pytest.raises(Exception, match=r".") as caught:
        fetch(remote(server, 0, ""), tmp_path / "a", tmp_path / "a.part")
    assert not isinstance(caught.value, OSError)
    assert kept(tmp_path) == 0
    hub.fail("/resolve/", status=302, headers={"Location": place})
    with pytest.raises(DiffresError) as said:
        install_model(NAME)
    assert "\n" not in str(said.value)
    assert_nothing_usable()


def test_redirects_without_end_lead_nowhere(hub: Hub) -> None:
    hub.fail(
        "/resolve/", times=99, status=302, headers={"Location": f"{hub.endpoint}/org/small/resolve/main/x"}
    )
    with pytest.raises(ModelError):
        install_model(NAME)
    assert_nothing_usable()


def test_a_file_that_changes_between_two_halves_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    server.fail("/a", after=1000)
    server.fail("/a", headers={"ETag": '"another"'})
    fetch(remote(server), tmp_path / "a", tmp_path / "a.part")
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.ranges == [None, "bytes=1000-", None]
