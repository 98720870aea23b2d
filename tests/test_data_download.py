"""What may happen to a dataset on its way here, archive by archive, step by step; what is left then."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import invoke
from data_archives import DATASETS, SOURCES, program, small, tarred, zipped
from file_server import FileServer
from patience import PATIENCE, wait_until
from places import names, small_disk

from diffres_cli.datasets.download.archive import MIRROR, ArchiveError
from diffres_cli.datasets.download.download import STAGE, download, is_unfinished
from diffres_cli.errors import DataError, OutputError, UsageError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A mirror, empty."""
    with FileServer() as site:
        monkeypatch.setenv(MIRROR, site.address)
        yield site


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


@pytest.mark.parametrize("how", [{"status": 404}, {"body": b"other"}, {"body": b""}])
def test_a_refused_download_leaves_room_for_the_data_by_hand(server, tmp_path, how):
    source, files = small("esc50")
    server.files |= files
    server.fail(*files, **how)
    with pytest.raises(ArchiveError):
        download(source, tmp_path / "esc50")
    assert names(tmp_path / "esc50") == []
    assert not is_unfinished(tmp_path / "esc50")


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
    with pytest.raises(DataError, match=r"a\.txt is a file: choose a folder"):
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
    wait_until(lambda: part_of(tmp_path / "esc50") > 0)
    with pytest.raises(OutputError, match="another process is downloading into it"):
        download(source, tmp_path / "esc50")
    held.hold.set()
    assert process.communicate(timeout=PATIENCE)[0].startswith(b"esc50")
    assert process.returncode == 0


def started(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(program(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def part_of(root: Path) -> int:
    """Bytes of the archive that is coming."""
    part = root / STAGE / "ESC-50-master.zip.part"
    return part.stat().st_size if part.exists() else 0


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
    wait_until(lambda: part_of(root) > len(data) // 4)
    kill(process)
    kept = part_of(root)
    assert is_unfinished(root)
    assert names(root) == [STAGE]
    checked = invoke("data", "check", "esc50", "--data", root)
    assert checked.code == 2
    assert "diffres data download esc50" in checked.err
    process = started("data", "download", "esc50", "--data", root)
    assert process.communicate(timeout=PATIENCE)[0].startswith(b"esc50")
    assert process.returncode == 0
    assert server.requests[-1].range == f"bytes={kept}-"
    assert names(root) == ["ESC-50-master"]
    assert source.read(root).counts == source.splits


KILLED = (
    "import os, signal, sys; sys.path.insert(0, {tests!r}); from pathlib import Path\n"
    "from data_archives import small; from diffres_cli.datasets.download import download as module\n"
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
