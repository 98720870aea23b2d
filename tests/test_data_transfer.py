"""What may happen to a file on its way here: cut, stalled, changed, no room; and what is left then."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
from file_server import FileServer
from patience import PATIENCE
from places import names, open_to_all, unprivileged

from diffres_cli.datasets.clip import Archive
from diffres_cli.datasets.download.archive import MIRROR, ArchiveError, fetch
from diffres_cli.errors import OutputError

DATA = os.urandom(600_000)
PART = len(DATA) // 3
SUM = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
FILE = Archive("https://example.org/a/set.zip?download=1", "set.zip", len(DATA), SUM)
UNSTATED = replace(FILE, size=0, checksum="")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A mirror of everything, with /a/set.zip on it."""
    with FileServer() as site:
        monkeypatch.setenv(MIRROR, site.address)
        site.files["/a/set.zip"] = DATA
        yield site


def cut_off(server: FileServer, archive: Archive, path: Path) -> None:
    """Let a download be cut after a third, with nothing more coming."""
    server.fail("set", after=PART)
    server.fail("set", after=0)
    with pytest.raises(ArchiveError, match=r"connection failed .* resumes where it stopped"):
        fetch(archive, path)
    assert path.with_name("set.zip.part").stat().st_size == PART
    assert not path.exists()


def refused(archive: Archive, path: Path) -> str:
    """What is said of a file that is refused, of which nothing is kept."""
    with pytest.raises(ArchiveError) as caught:
        fetch(archive, path)
    assert sum(left.stat().st_size for left in path.parent.iterdir()) == 0
    return str(caught.value)


def test_a_file_is_fetched_by_its_own_path_from_the_mirror_and_not_again(server, tmp_path):
    seen: list[int] = []
    for _ in range(2):
        fetch(FILE, tmp_path / "set.zip", seen.append)
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert names(tmp_path) == ["set.zip"]
    assert seen[-1] == len(DATA)
    (asked,) = server.requests
    assert asked.path == "/a/set.zip?download=1"
    assert asked.agent.startswith("diffres/")


@pytest.mark.parametrize("archive", [FILE, UNSTATED], ids=["stated", "unstated"])
def test_a_connection_that_keeps_breaking_is_taken_up_again_while_bytes_come(server, tmp_path, archive):
    server.fail("set", times=2, after=PART)
    fetch(archive, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert server.ranges == [None, f"bytes={PART}-", f"bytes={2 * PART}-"]


@pytest.mark.parametrize("archive", [FILE, UNSTATED], ids=["stated", "unstated"])
def test_a_download_that_is_cut_goes_on_with_the_next_call(server, tmp_path, archive):
    cut_off(server, archive, tmp_path / "set.zip")
    fetch(archive, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert server.requests[-1].range == f"bytes={PART}-"
    assert server.requests[-1].if_range
    assert names(tmp_path) == ["set.zip"]


def test_a_connection_that_stalls_is_taken_up_again(server, tmp_path):
    server.fail("set", after=PART, hold=threading.Event())  # which the server gives up after `PATIENCE`
    began = time.monotonic()
    fetch(FILE, tmp_path / "set.zip", timeout=0.3)
    assert time.monotonic() - began < PATIENCE / 2
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert server.ranges == [None, f"bytes={PART}-"]


def test_a_server_that_knows_no_ranges_starts_over(server, tmp_path):
    server.fail("set", after=PART)
    server.fail("set", deaf=True)
    fetch(FILE, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA


def test_a_server_without_lengths_is_understood_and_a_cut_is_noticed(server, tmp_path):
    server.lengths = False
    server.fail("set", after=PART)
    fetch(UNSTATED, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.parametrize("if_range", [True, False], ids=["If-Range", "no If-Range"])
def test_a_file_that_changed_in_between_is_fetched_anew(server, tmp_path, if_range):
    cut_off(server, UNSTATED, tmp_path / "set.zip")
    server.if_range = if_range
    server.files["/a/set.zip"] = DATA[::-1]
    fetch(UNSTATED, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA[::-1]


def test_halves_are_not_put_together_where_nobody_can_tell_that_they_fit(server, tmp_path):
    server.tags = False
    (tmp_path / "set.zip.part").write_bytes(DATA[:PART])
    server.files["/a/set.zip"] = DATA[::-1]
    fetch(UNSTATED, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA[::-1]
    assert server.ranges == [None]


def test_a_download_goes_on_from_another_mirror_where_a_checksum_tells(server, tmp_path, monkeypatch):
    cut_off(server, FILE, tmp_path / "set.zip")
    with FileServer() as other:
        other.files["/mirror/a/set.zip"] = DATA
        other.tags = False
        monkeypatch.setenv(MIRROR, f"{other.address}/mirror/")
        fetch(FILE, tmp_path / "set.zip")
        assert [(asked.range, asked.if_range) for asked in other.requests] == [(f"bytes={PART}-", None)]
    assert (tmp_path / "set.zip").read_bytes() == DATA


def test_a_partial_file_that_is_longer_than_the_file_is_begun_anew(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(bytes(len(DATA) + 1))
    fetch(FILE, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA


def test_a_download_killed_before_its_last_step_asks_for_nothing_more(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(DATA)
    fetch(FILE, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert server.requests == []


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_bytes_that_are_not_the_official_ones_are_not_kept(server, tmp_path, kind):
    archive = replace(FILE, checksum=f"{kind}:{hashlib.new(kind, DATA).hexdigest()}")
    server.fail("set", flip=True)
    assert f"not the official file ({kind} " in refused(archive, tmp_path / "set.zip")
    fetch(archive, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA


def test_a_partial_file_that_is_damaged_is_found_out(server, tmp_path):
    cut_off(server, FILE, tmp_path / "set.zip")
    (tmp_path / "set.zip.part").write_bytes(bytes(PART))
    assert "not the official file" in refused(FILE, tmp_path / "set.zip")


def test_a_kept_archive_that_is_damaged_is_fetched_anew(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(DATA[:-1] + b"x")
    fetch(FILE, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == DATA


@pytest.mark.parametrize("size", [PART, len(DATA) + 1], ids=["shorter", "longer"])
def test_a_file_of_another_size_is_refused_before_it_comes(server, tmp_path, size):
    server.fail("set", body=(DATA + b"x")[:size], after=0)
    said = refused(FILE, tmp_path / "set.zip")
    assert f"it has {size} bytes, the official file {len(DATA)}" in said
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "why"), [(DATA[:PART], "it ends after"), (DATA * 2, "more comes than")], ids=["less", "more"]
)
def test_a_server_that_states_no_length_cannot_send_less_or_more(server, tmp_path, body, why):
    server.lengths = False
    server.files["/a/set.zip"] = body
    with pytest.raises(ArchiveError, match=why):
        fetch(FILE, tmp_path / "set.zip")
    assert not (tmp_path / "set.zip").exists()


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, f"no longer there .*{MIRROR}"), (403, "server denies access"), (503, "try again later")],
)
def test_a_refusal_is_told_with_what_to_do(server, tmp_path, status, why):
    server.fail("set", times=9, status=status)
    with pytest.raises(ArchiveError, match=rf"set\.zip: {server.address}/a/set\.zip.*{status}.*") as caught:
        fetch(FILE, tmp_path / "set.zip")
    caught.match(why)


def test_the_hub_librarys_offline_switch_is_heeded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids the network: unset it" in refused(FILE, tmp_path / "set.zip")
    assert server.requests == []


def test_a_server_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR, "http://127.0.0.1:9")
    with pytest.raises(ArchiveError, match=r"connection failed .*check the network"):
        fetch(FILE, tmp_path / "set.zip")


@pytest.mark.usefixtures("server")
def test_a_folder_nobody_may_write_to_is_told(tmp_path):
    open_to_all(tmp_path).chmod(0o555)
    with (
        unprivileged(),
        pytest.raises(OutputError, match=r"write .*set\.zip\.part: Permission denied"),
    ):
        fetch(FILE, tmp_path / "set.zip")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_full_disk_is_told_and_the_download_goes_on_once_there_is_room(server, tmp_path):
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from diffres_cli.datasets.download.archive import fetch\n"
        "from diffres_cli.errors import OutputError\n"
        "from diffres_cli.datasets.clip import Archive\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({PART}, {PART}))\n"
        f"try: fetch({FILE!r}, Path(sys.argv[1]))\n"
        "except OutputError as error: print(error)\n"
    )
    path = tmp_path / "set.zip"
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "too large: make room" in result.stdout
    assert result.stdout.count("\n") == 1
    kept = path.with_name("set.zip.part").stat().st_size
    assert PART // 2 < kept <= PART
    fetch(FILE, path)
    assert path.read_bytes() == DATA
    assert server.requests[-1].range == f"bytes={kept}-"
