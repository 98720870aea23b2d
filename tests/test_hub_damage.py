"""What may happen to a model on its way from a hub: cut, killed, changed, no room; and what is left then."""

import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hub_cache import MODEL, NAME, SHIPPED, assert_nothing_usable, command, partial
from hub_server import Hub
from patience import wait_until

from diffres_cli.checkpoint.find import find_model, install_model, read_model
from diffres_cli.errors import ModelError, OutputError

PART = len(MODEL) // 3


def test_a_connection_that_keeps_breaking_is_taken_up_again_while_bytes_come(hub: Hub) -> None:
    hub.fail("/cdn/", times=2, after=PART)
    hub.fail("/cdn/", times=1, after=PART // 2, reset=True)
    assert find_model(NAME).read_bytes() == MODEL
    starts = [
        int((request.range or "0").removeprefix("bytes=").rstrip("-")) for request in hub.asked("/cdn/")
    ]
    assert starts[:3] == [0, PART, 2 * PART]
    assert 2 * PART < starts[3] <= 2 * PART + PART // 2  # a reset may lose what is on its way
    assert len(starts) == 4


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_download_that_is_cut_goes_on_with_the_next_call(hub: Hub, cache: Path, reset: bool) -> None:
    hub.fail("/cdn/", after=PART)
    hub.fail("/cdn/", after=0, reset=reset)
    with pytest.raises(ModelError, match=r"connection to http.* broke .*resumes where"):
        find_model(NAME)
    assert partial(cache) == PART
    assert_nothing_usable()
    assert find_model(NAME).read_bytes() == MODEL
    assert hub.asked("/cdn/")[-1].range == f"bytes={PART}-"
    assert partial(cache) == 0


def test_a_server_that_knows_no_ranges_starts_over(hub: Hub) -> None:
    hub.fail("/cdn/", after=PART)
    hub.fail("/cdn/", deaf=True)
    assert find_model(NAME).read_bytes() == MODEL


def test_a_download_killed_goes_on_with_the_next(hub: Hub, cache: Path) -> None:
    held = hub.fail("/cdn/", after=PART, hold=threading.Event())
    process = subprocess.Popen(command("models", "install", NAME))
    wait_until(lambda: partial(cache) >= PART // 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held.hold.set()
    kept = partial(cache)
    assert kept >= PART // 2
    assert_nothing_usable()
    assert find_model(NAME).read_bytes() == MODEL
    assert hub.asked("/cdn/")[-1].range == f"bytes={kept}-"


@pytest.mark.parametrize("where", ["SHA256SUMS", "README.md", "labels.csv", "/cdn/"])
def test_bytes_that_are_not_what_the_hub_states_are_not_kept(hub: Hub, cache: Path, where: str) -> None:
    hub.fail(where, flip=True)
    with pytest.raises(ModelError, match="is not what the hub states"):
        find_model(NAME)
    assert partial(cache) == 0
    assert_nothing_usable()
    assert find_model(NAME).read_bytes() == MODEL


def test_a_partial_file_that_is_damaged_is_found_out(hub: Hub, cache: Path) -> None:
    hub.fail("/cdn/", after=PART)
    hub.fail("/cdn/", after=0)
    with pytest.raises(ModelError):
        find_model(NAME)
    (left,) = cache.glob("models--*/blobs/*.incomplete")
    left.write_bytes(bytes(PART))
    with pytest.raises(ModelError, match="is not what the hub states"):
        find_model(NAME)
    assert find_model(NAME).read_bytes() == MODEL


def test_files_that_contradict_their_checksums_are_refused_and_the_model_before_them_stays(hub: Hub) -> None:
    before = find_model(NAME)
    broken = hub.add("org/small", SHIPPED, labels__csv=b"index,mid,display_name\n")
    with pytest.raises(ModelError, match=r"contradict each other: labels\.csv has SHA-256 .*SHA256SUMS says"):
        install_model(NAME)
    assert find_model(NAME, offline=True) == before
    assert read_model(before).data == MODEL  # the blob that both commits share
    with pytest.raises(ModelError, match="not in the cache"):
        find_model(f"{NAME}@{broken}", offline=True)


def test_a_model_without_a_checksum_is_refused(hub: Hub) -> None:
    sums = (SHIPPED / "SHA256SUMS").read_text().splitlines(keepends=True)
    hub.add("org/small", SHIPPED, SHA256SUMS="".join(line for line in sums if "onnx" not in line).encode())
    with pytest.raises(ModelError, match=r"model\.onnx is not in SHA256SUMS"):
        find_model(NAME)
    assert_nothing_usable()


def test_two_installs_at_once_fetch_once(hub: Hub) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(find_model, [NAME, NAME])
    assert first == second
    assert first.read_bytes() == MODEL
    assert len(hub.asked("/cdn/")) == 1


@pytest.fixture
def small_cache(cache: Path):
    """A disk with room for half a model."""
    cache.parent.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={2 * PART}", "tmpfs", cache.parent], capture_output=True
    )
    if made.returncode:
        pytest.skip("no right to mount a small disk")
    yield
    subprocess.run(["umount", cache.parent], check=True)


@pytest.mark.usefixtures("small_cache")
def test_a_disk_without_room_is_told_before_the_model_comes(hub: Hub, cache: Path) -> None:
    with pytest.raises(OutputError, match=r"MB are needed here, .* MB are free: make room, or move HF_HOME"):
        find_model(NAME)
    assert_nothing_usable()
    assert hub.asked("/cdn/") == []
    subprocess.run(["mount", "-o", f"remount,size={12 * PART}", cache.parent], check=True)
    assert find_model(NAME).read_bytes() == MODEL
