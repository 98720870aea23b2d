"""What may happen to a dataset on its way here: cut, killed, changed, no room; and what is left then."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
from command import invoke
from data_archives import DATASETS, SOURCES, program, small, tarred, zipped
from file_server import FileServer
from places import names, open_to_all, small_disk, unprivileged

from diffres_cli.datasets.archive import MIRROR, ArchiveError
from diffres_cli.datasets.clip import Archive
from diffres_cli.datasets.download import STAGE, download, is_unfinished
from diffres_cli.datasets.transfer import fetch
from diffres_cli.errors import DataError, OutputError, UsageError

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
    with pytest.raises(ArchiveError, match=r"connection failed .* goes on where it stopped"):
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
    server.fail("set", after=PART, hold=threading.Event())
    fetch(FILE, tmp_path / "set.zip", timeout=0.3)
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
    [(404, f"not there any more .*{MIRROR}"), (403, "not give it to everybody"), (503, "try again later")],
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
        pytest.raises(OutputError, match=r"cannot write .*set\.zip\.part: Permission denied"),
    ):
        fetch(FILE, tmp_path / "set.zip")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_full_disk_is_told_and_the_download_goes_on_once_there_is_room(server, tmp_path):
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from diffres_cli.datasets.transfer import fetch; from diffres_cli.errors import OutputError\n"
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


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_brought_here_from_archives_of_its_official_layout(server, tmp_path, name):
    source, files = small(name)
    server.files |= files
    root = tmp_path / "data" / name
    steps: list[str] = []
    dataset = download(source, root, on_step=lambda what, done, total: steps.append(what))
    assert dataset.counts == source.splits
    assert dataset.missing == ()
    assert all(clip.path.read_bytes()[:4] == b"RIFF" for clip in dataset.clips)
    assert STAGE not in names(root)
    assert {f"fetching {archive.name}" for archive in source.archives} <= set(steps)
    asked = len(server.requests)
    assert asked == len(source.archives)
    assert download(source, root) == dataset
    assert len(server.requests) == asked


@pytest.mark.parametrize("name", DATASETS)
def test_every_archive_of_every_dataset_may_be_cut(server, tmp_path, name):
    source, files = small(name)
    server.files |= files
    for path, data in files.items():
        for _ in range(2):
            server.fail(path, after=len(data) // 3)
    assert download(source, tmp_path / name).counts == source.splits
    assert len(server.requests) == 3 * len(files)


@pytest.mark.parametrize("name", [name for name in DATASETS if small(name)[0].archives[0].checksum])
def test_every_archive_with_a_checksum_is_refused_when_it_is_another(server, tmp_path, name):
    source, files = small(name)
    server.files |= files
    for path in files:
        server.fail(path, flip=True)
        with pytest.raises(ArchiveError, match=r"not the official file .*nothing of it was kept"):
            download(source, tmp_path / name)
        with pytest.raises(DataError):
            source.read(tmp_path / name)
    assert download(source, tmp_path / name).counts == source.splits


def test_archives_go_once_unpacked_unless_they_are_to_be_kept(server, tmp_path):
    source, files = small("nsynth")
    server.files |= files
    download(source, tmp_path / "a", keep_archives=True)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "a" / STAGE).glob("*.tar.gz")}
    assert sorted(kept.values()) == sorted(files.values())
    for folder in (tmp_path / "a").glob("nsynth-*"):
        shutil.rmtree(folder)
    asked = len(server.requests)
    assert download(source, tmp_path / "a", keep_archives=True).counts == source.splits
    assert len(server.requests) == asked


def test_a_malicious_archive_leaves_nothing_where_anybody_looks(server, tmp_path):
    source, files = small("esc50", {"ESC-50-master.zip": zipped({"../../escaped.wav": b"x"})})
    server.files |= files
    with pytest.raises(ArchiveError, match="leaves the folder"):
        download(source, tmp_path / "data" / "esc50")
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["esc50"]
    assert names(tmp_path / "data" / "esc50") == [STAGE]


def test_two_archives_with_one_name_in_them_are_not_mixed(server, tmp_path):
    source, files = small("nsynth")
    train = next(path for path in files if "train" in path)
    archives = {archive.name: files[train] for archive in source.archives}
    source, files = small("nsynth", archives)
    server.files |= files
    with pytest.raises(ArchiveError, match="two archives hold 'nsynth-train'"):
        download(source, tmp_path / "nsynth")
    assert names(tmp_path / "nsynth") == [STAGE]


def test_a_folder_with_something_else_in_it_is_left_alone(server, tmp_path):
    (tmp_path / "photos").mkdir()
    source, files = small("nsynth")
    server.files |= files
    with pytest.raises(DataError, match=r"is not empty \(photos\) and no complete nsynth"):
        download(source, tmp_path)
    assert names(tmp_path) == ["photos"]
    assert server.requests == []


def test_a_file_is_no_folder_for_a_dataset(server, tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(DataError, match=r"a\.txt is a file: give a folder"):
        download(small("nsynth")[0], tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_an_archive_without_a_checksum_that_is_damaged_is_fetched_anew(server, tmp_path):
    source, files = small("arabic-speechcommands")
    server.files |= files
    (path,) = files
    server.fail(path, body=files[path][:-1000])
    with pytest.raises(ArchiveError, match="damaged"):
        download(source, tmp_path / "arabic")
    assert download(source, tmp_path / "arabic").counts == source.splits


def test_an_archive_that_is_the_official_one_stays_even_if_it_is_refused(server, tmp_path):
    source, files = small("esc50", {"ESC-50-master.zip": zipped({"../a.wav": b"x"})})
    server.files |= files
    for _ in range(2):
        with pytest.raises(ArchiveError, match="leaves the folder"):
            download(source, tmp_path / "esc50")
    assert len(server.requests) == 1


def test_what_macos_adds_to_archives_is_left_out(server, tmp_path):
    source, _ = small("nsynth")
    trees = {archive.name: {"__MACOSX/._a": b"x", ".DS_Store": b"y"} for archive in source.archives}
    for tree, part in zip(trees.values(), ("train", "valid", "test"), strict=True):
        tree[f"nsynth-{part}/examples.json"] = b"{}"
    source, files = small("nsynth", {name: tarred(tree) for name, tree in trees.items()})
    server.files |= files
    with pytest.raises(DataError):  # there are no notes in it
        download(source, tmp_path / "nsynth")
    assert names(tmp_path / "nsynth") == ["nsynth-test", "nsynth-train", "nsynth-valid"]


def test_room_is_looked_at_before_anything_comes(server, tmp_path):
    source, files = small("fsd50k")
    server.files |= files
    with small_disk(tmp_path) as disk:
        with pytest.raises(OutputError, match=r"MB are needed here, 0\.1 MB are free: make room"):
            download(source, disk)
        assert server.requests == []


def test_what_may_not_be_downloaded_is_told_with_what_to_do_by_hand(tmp_path):
    with pytest.raises(UsageError, match=r"audioset: not for download .*YouTube id"):
        download(SOURCES["audioset"], tmp_path / "audioset")
    assert names(tmp_path) == []


def test_one_process_downloads_into_a_folder_at_a_time(server, tmp_path):
    source, files = small("esc50")
    server.files |= files
    (path,) = files
    held = server.fail(path, after=len(files[path]) // 2, hold=threading.Event())
    process = started("data", "download", "esc50", "--data", tmp_path / "esc50")
    wait_for(lambda: part_of(tmp_path / "esc50") > 0)
    with pytest.raises(OutputError, match="another process is downloading into it"):
        download(source, tmp_path / "esc50")
    held.hold.set()
    assert process.communicate(timeout=30)[0].startswith(b"esc50")
    assert process.returncode == 0


def started(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(program(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def part_of(root: Path) -> int:
    """Bytes of the archive that is coming."""
    part = root / STAGE / "ESC-50-master.zip.part"
    return part.stat().st_size if part.exists() else 0


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_download_killed_while_bytes_come_goes_on_with_the_next(server, tmp_path):
    source, files = small("esc50")
    server.files |= files
    ((path, data),) = files.items()
    server.fail(path, after=len(data) // 2, hold=threading.Event())
    root = tmp_path / "esc50"
    process = started("data", "download", "esc50", "--data", root)
    wait_for(lambda: part_of(root) > len(data) // 4)
    kill(process)
    kept = part_of(root)
    assert is_unfinished(root)
    assert names(root) == [STAGE]
    checked = invoke("data", "check", "esc50", "--data", root)
    assert checked.code == 2
    assert "diffres data download esc50" in checked.err
    process = started("data", "download", "esc50", "--data", root)
    assert process.communicate(timeout=30)[0].startswith(b"esc50")
    assert process.returncode == 0
    assert server.requests[-1].range == f"bytes={kept}-"
    assert names(root) == ["ESC-50-master"]
    assert source.read(root).counts == source.splits


KILLED = (
    "import os, signal, sys; sys.path.insert(0, {tests!r}); from pathlib import Path\n"
    "from data_archives import small; from diffres_cli.datasets import download as module\n"
    "seen = 0\n"
    "def trace(frame, event, argument):\n"
    "    global seen\n"
    "    if event == 'call' and frame.f_code.co_name in ('fetch', 'extract', 'replace', 'rename', 'touch'):\n"
    "        seen += 1\n"
    "        if seen == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
    "source, _ = small('nsynth')\n"
    "sys.setprofile(trace)\n"
    "module.download(source, Path(sys.argv[1]))\n"
)


def test_a_download_killed_at_any_step_goes_on_and_never_looks_complete(server, tmp_path):
    source, files = small("nsynth")
    server.files |= files
    code = KILLED.format(tests=str(Path(__file__).parent))
    ends = []
    for step in range(1, 60, 3):
        root = tmp_path / f"killed {step}"
        process = subprocess.run([sys.executable, "-c", code, root, str(step)], capture_output=True)
        ends.append(process.returncode)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert not root.exists() or is_unfinished(root) or names(root / STAGE) == ["lock"]
        assert download(source, root).counts == source.splits
        assert STAGE not in names(root)
    assert ends[-1] == 0
    assert len(ends) > 6
