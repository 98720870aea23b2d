"""Archives as they should be, and as nobody should make them: what is unpacked, and what is left then."""

from __future__ import annotations

import io
import os
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import zipfile
from gzip import decompress as gunzip
from pathlib import Path

import pytest
from data_archives import clips, split, tarred, zipped
from patience import wait_until
from places import names, open_to_all, small_disk, unprivileged

from diffres_cli.datasets.download.archive import ArchiveError
from diffres_cli.datasets.download.extract import extract
from diffres_cli.errors import OutputError

TREE = {
    **clips([f"set/audio/{number}.wav" for number in range(30)]),
    "set/meta/list.csv": b"a,b\n",
    "top.txt": b"",
}
PROGRAM = (
    "import sys; from pathlib import Path; from diffres_cli.datasets.download.extract import extract\n"
    "from diffres_cli.errors import DiffresError\n"
    "try: extract([Path(sys.argv[1])], Path(sys.argv[2]), {hook})\n"
    "except DiffresError as error: print(type(error).__name__, error)\n"
)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def tree_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refusal(archive: Path) -> str:
    """What is said of an archive that is refused, of which nothing stays."""
    before = set(archive.parent.parent.rglob("*"))
    with pytest.raises(ArchiveError) as caught:
        extract([archive], archive.parent / "out")
    assert set(archive.parent.parent.rglob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where archives are unpacked, with room around it for them to escape to."""
    folder = tmp_path / "above" / "place"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.zip", zipped),
        ("a.tar.gz", tarred),
        ("a.tgz", tarred),
        ("a.tar", lambda tree: gunzip(tarred(tree))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_archives_unpack_to_the_files_they_hold(place, name, pack):
    seen: list[tuple[int, int]] = []
    extract([written(place, name, pack(TREE))], place / "out", lambda *done: seen.append(done))
    assert tree_of(place / "out") == TREE
    total = sum(map(len, TREE.values()))
    assert seen[-1] == (total, total)
    assert names(place) == [name, "out"]


@pytest.mark.parametrize("zip64", [False, True], ids=["short", "zip64"])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_split_zips_unpack_to_the_files_they_hold(place, count, zip64):
    pieces = split(zipped(TREE), count, zip64=zip64)
    ends = [f"z{number:02}" for number in range(1, count)] + ["zip"]
    parts = [written(place, f"a.{end}", data) for end, data in zip(ends, pieces, strict=True)]
    extract(parts, place / "out")
    assert tree_of(place / "out") == TREE


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs Info-ZIP")
@pytest.mark.parametrize("options", [[], ["-fz"]], ids=["short", "zip64"])
def test_split_zips_of_the_tool_that_made_fsd50ks_unpack(place, options):
    tree = {f"{number}.bin": os.urandom(60_000) for number in range(4)}
    for name, data in tree.items():
        written(place, name, data)
    subprocess.run(["zip", "-q", *options, "-s", "64k", "a.zip", *tree], cwd=place, check=True)
    parts = sorted(place.glob("a.z*"))
    assert len(parts) > 3
    extract(parts, place / "out")
    assert tree_of(place / "out") == tree


def test_a_split_zip_that_lacks_a_part_is_damaged(place):
    pieces = split(zipped(TREE), 3)
    parts = [written(place, name, pieces[index]) for name, index in (("a.z01", 0), ("a.zip", 2))]
    with pytest.raises(ArchiveError, match=r"a\.zip: damaged: "):
        extract(parts, place / "out")
    assert not (place / "out").exists()


def hostile_names() -> list[tuple[str, str]]:
    return [
        ("../escaped.wav", "the path leaves the folder"),
        ("set/../../escaped.wav", "the path leaves the folder"),
        ("/tmp/escaped-from-diffres.wav", "the path is absolute"),
        ("..\\escaped.wav", "backslashes, colons"),
        ("C:\\escaped.wav", "backslashes, colons"),
        ("C:escaped.wav", "backslashes, colons"),
        ("a.wav:stream", "backslashes, colons"),
        ("a\x1b[2J.wav", "control characters"),
        ("set./a.wav", "end with a dot or a space"),
        (".. /escaped.wav", "end with a dot or a space"),
        ("SET/audio/0.wav", "there already, as the folder 'set'"),
        ("set/audio/0.WAV", "there already, as the file 'set/audio/0.wav'"),
        ("set/audio/0.wav", "there already, as the file 'set/audio/0.wav'"),
        ("set/audio", "there already, as the folder 'set/audio'"),
        ("top.txt/a.wav", "there already, as the file 'top.txt'"),
        ("e\u0301.wav", "there already, as the file 'é.wav'"),
    ]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize(("name", "why"), hostile_names(), ids=lambda value: ascii(value))
def test_names_that_could_mean_another_place_are_refused_before_anything_is_written(place, kind, name, why):
    tree = [*TREE.items(), ("é.wav", b"1"), (name, b"2")]
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for entry, data in tree:
                archive.writestr(entry, data)
    else:
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for entry, data in tree:
                member = tarfile.TarInfo(entry)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    said = refusal(written(place, f"a.{kind}", file.getvalue()))
    assert said.startswith(f"a.{kind}: not safe to unpack: ")
    assert why in said


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
    ],
    ids=["symlink", "hardlink", "character", "block", "pipe"],
)
def test_what_is_neither_file_nor_folder_is_refused_in_a_tar(place, kind, why):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("set/link")
        member.type, member.linkname = kind, "../../secret"
        archive.addfile(member)
    assert f"it is a {why}" in refusal(written(place, "a.tar.gz", file.getvalue()))


@pytest.mark.parametrize(("mode", "why"), [(0o120777, "symbolic link"), (0o020666, "device")])
def test_what_is_neither_file_nor_folder_is_refused_in_a_zip(place, mode, why):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("set/link")
        info.create_system, info.external_attr = 3, mode << 16
        archive.writestr(info, "../../secret")
    assert f"it is a {why}" in refusal(written(place, "a.zip", file.getvalue()))


def test_an_encrypted_zip_is_refused(place):
    data = bytearray(zipped({"a.txt": b"secret"}))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    assert "it is an encrypted file" in refusal(written(place, "a.zip", bytes(data)))


@pytest.mark.parametrize(("name", "pack"), [("a.zip", zipped), ("a.tar.gz", tarred)])
def test_a_bomb_is_refused_by_what_it_declares(place, name, pack):
    said = refusal(written(place, name, pack({"a.wav": bytes(20_000_000)})))
    assert "unpacks to at least 20.0 MB, over 100 times its own size" in said


def test_a_zip_that_declares_less_than_it_holds_is_damaged(place):
    data = bytearray(zipped({"a.wav": bytes(50_000) + os.urandom(1000)}))
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, 100)
    assert "damaged" in refusal(written(place, "a.zip", bytes(data)))


def test_what_a_disk_has_no_room_for_is_told_before_anything_is_written(place):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.wav")
        member.size = 5_000_000
        archive.addfile(member, io.BytesIO(os.urandom(500_000) * 10))
    archive = written(place, "a.tar.gz", file.getvalue())
    with small_disk(place) as disk:
        with pytest.raises(OutputError, match=r"5\.0 MB are needed here, 0\.1 MB are free: make room"):
            extract([archive], disk / "out")
        assert names(disk) == []


@pytest.mark.parametrize(("name", "pack"), [("a.zip", zipped), ("a.tar.gz", tarred)])
@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "text"])
def test_damaged_archives_leave_nothing(place, name, pack, harm):
    data = pack({"a.bin": os.urandom(200_000), "b.bin": os.urandom(200_000)})
    flipped = data[:100_000] + bytes([data[100_000] ^ 255]) + data[100_001:]
    text = b"<html>This is no archive.</html>"
    harmed = {"cut": data[:-150_000], "flipped": flipped, "empty": b"", "text": text}[harm]
    assert f"{name}: damaged: " in refusal(written(place, name, harmed))


def test_a_tar_that_is_damaged_behind_its_last_file_is_found_out(place):
    data = bytearray(tarred(TREE))
    data[-8] ^= 1  # the checksum of the whole
    assert "damaged" in refusal(written(place, "a.tar.gz", bytes(data)))


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_full_disk_leaves_nothing_and_is_told_in_one_line(place):
    archive = written(place, "a.zip", zipped({"a.bin": os.urandom(300_000)}))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    code = limit + PROGRAM.format(hook="lambda *done: None")
    result = subprocess.run(
        [sys.executable, "-c", code, archive, place / "out"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("OutputError cannot read or write ")
    assert "too large: make room" in result.stdout
    assert result.stdout.count("\n") == 1
    assert names(place) == ["a.zip"]


def test_a_folder_nobody_may_write_to_is_told(tmp_path):
    archive = written(open_to_all(tmp_path), "a.zip", zipped(TREE))
    (tmp_path / "locked").mkdir(mode=0o555)
    with (
        unprivileged(),
        pytest.raises(OutputError, match=r"write .*locked/out\.part: Permission denied"),
    ):
        extract([archive], tmp_path / "locked" / "out")


def test_a_killed_call_leaves_no_folder_and_the_next_one_starts_again(place):
    archive = written(place, "a.zip", zipped(TREE))
    hold = "lambda done, total: done > 20000 and __import__('time').sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(hook=hold), archive, place / "out"])
    wait_until(lambda: len(tree_of(place / "out.part")) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names(place) == ["a.zip", "out.part"]
    written(place / "out.part", "stale.txt", b"of the first call")
    extract([archive], place / "out")
    assert names(place) == ["a.zip", "out"]
    assert tree_of(place / "out") == TREE
