"""Files appear whole or not at all, whatever stood there, whatever goes wrong."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import IO

import pytest
from places import names, open_to_all, small_disk, unprivileged

from diffres_cli.errors import OutputError
from diffres_cli.files import atomic_file, write_atomically


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fail(file: IO[bytes], error: type[BaseException]) -> None:
    file.write(b"new")
    raise error


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["out.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, BrokenPipeError])
def test_a_failure_leaves_what_stood_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.json"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_file(path) as file:
        fail(file, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.json"]


def test_two_who_write_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with atomic_file(path) as one:
        one.write(b"one")
        with atomic_file(path) as other:
            other.write(b"the other")
        assert path.read_bytes() == b"the other"
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["out.json"]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "new", b"")
    assert permissions(tmp_path / "new") == permissions(tmp_path / "usual")


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.touch(0o600)
    write_atomically(path, b"new")
    assert permissions(path) == 0o600


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    for content in (b"first", b"second"):
        write_atomically(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "file").read_bytes() == content


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".json")  # 255 bytes
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_device_is_written_to_and_stays_a_device() -> None:
    write_atomically(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()


def test_a_full_device_is_an_error_and_stays_a_device(tmp_path: Path) -> None:
    # Through a link, so that a mistake replaces the link and not the device.
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"cannot write .*full: No space left on device; choose another"):
        write_atomically(tmp_path / "full", b"new")
    assert (tmp_path / "full").is_symlink()
    assert Path("/dev/full").is_char_device()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"new")
    reader.join()
    assert received == [b"new"]
    assert pipe.is_fifo()


def test_a_full_disk_leaves_what_stood_there(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        path = disk / "out.json"
        path.write_bytes(b"old")
        with pytest.raises(
            OutputError, match=r"cannot write .*: No space left on device; choose another place"
        ):
            write_atomically(path, bytes(100_000))
        assert path.read_bytes() == b"old"
        assert names(disk) == ["out.json"]


def test_an_error_of_what_makes_the_content_is_not_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match=r"^a library's own words$"), atomic_file(path):
        raise OSError("a library's own words")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.json"]


def test_a_read_only_folder_is_an_error(tmp_path: Path) -> None:
    open_to_all(tmp_path).chmod(0o555)
    with unprivileged(), pytest.raises(OutputError, match="Permission denied; choose another place"):
        write_atomically(tmp_path / "out.json", b"new")
    tmp_path.chmod(0o755)


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = open_to_all(tmp_path) / "out.json"
    path.write_bytes(b"old")
    path.chmod(0o444)
    tmp_path.chmod(0o777)
    with unprivileged(), pytest.raises(OutputError, match=r"out\.json: Permission denied"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/out.json", "there is no folder .*missing"),
        ("file/out.json", "Not a directory"),
        (".", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_a_place_where_no_file_can_be(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=why):
        write_atomically(tmp_path / name, b"new")
    assert not list(tmp_path.glob(".diffres*"))
