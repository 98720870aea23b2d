"""A diffres.toml that came with a folder: it sets how to tag, and never which machines are spoken to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import EXAMPLES, Result, invoke
from hub_cache import NAME
from hub_server import Hub

SIREN = EXAMPLES / "siren.ogg"
pytestmark = pytest.mark.usefixtures("user_folder")

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user's file"
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A stranger's machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def write(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path.cwd()) / "diffres.toml"
    path.write_text(text, "utf-8")
    return path


def refused(result: Result, *parts: str) -> None:
    assert (result.code, result.out) == (2, "")
    assert all(part in result.complaint for part in parts), result.complaint


def test_a_found_file_names_no_cluster(listener: socket.socket, user_folder: Path) -> None:
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    write(f'ray-address = "{address}"')
    refused(invoke("tag", SIREN), "ray-address", address, "DIFFRES_RAY_ADDRESS", str(user_folder))
    refused(invoke("tag", SIREN, "--engine", "ray", "-o", "out"), "ray-address")
    write(f'engine = "ray"\nray-address = "{address}"')
    refused(invoke("tag", "."), "engine")
    refused(invoke("config"), "engine")
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("table", ["", "[tag]\n"])
def test_a_found_file_names_no_model_on_a_hub(hub: Hub, table: str) -> None:
    write(f'{table}model = "{NAME}"')
    refused(invoke("tag", SIREN), NAME, "DIFFRES_MODEL")
    assert hub.requests == []
    assert invoke("tag", SIREN, "-m", "audioset-small", "-q").code == 0


def test_a_found_file_names_no_code_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger.py").write_text("from pathlib import Path\nPath('ran').touch()\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for table in ("", "[tag]\n"):
        write(f'{table}format = "stranger:Format"')
        refused(invoke("tag", SIREN), "stranger:Format", "DIFFRES_FORMAT")
    assert not Path("ran").exists()
    write('format = "csv"')
    assert invoke("tag", SIREN, "-q").out.startswith("file,")


def test_a_found_file_does_not_let_the_network_in_again(hub: Hub, user_folder: Path) -> None:
    write("offline = true", user_folder)
    write("top-k = 1")
    assert "offline or HF_HUB_OFFLINE" in invoke("tag", SIREN, "-m", NAME, "-q").complaint
    write("offline = false")
    refused(invoke("tag", SIREN, "-m", NAME), "offline = false")
    assert hub.requests == []


def test_the_users_own_file_may_set_everything(user_folder: Path, hub: Hub) -> None:
    write(f'model = "{NAME}"\ntop-k = 1', user_folder)
    assert invoke("tag", SIREN) == invoke("tag", SIREN, "-m", NAME, "-k", "1")
    assert hub.requests


def test_a_file_that_is_named_may_set_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    monkeypatch.setenv("DIFFRES_CONFIG", str(write(f'model = "{NAME}"', tmp_path)))
    assert (result := invoke("tag", SIREN)) == (0, result.out, "")
    assert hub.requests


def test_what_a_found_file_leaves_open_the_users_own_says(user_folder: Path) -> None:
    own = write("top-k = 1\nfps = 20\n[tag]\nwindow = 4", user_folder)
    found = write("fps = 25\nwindow = 5")
    result = invoke("config")
    sources = {line.split()[0]: line.split()[1:] for line in result.out.splitlines()[3:]}
    assert result.out.startswith(f"diffres tag, with {found} and {own}\n")
    assert (sources["fps"], sources["window"]) == (["25", str(found)], ["5.0", str(found)])
    assert sources["top-k"] == ["1", str(own)]


def test_a_found_file_that_holds_is_named_once(user_folder: Path) -> None:
    found = write("fps = 25\ntop-k = 2")
    assert invoke("tag", SIREN).complaint.endswith(str(found))
    assert invoke("tag", SIREN, "--fps", "20", "-k", "1").err == ""
    assert invoke("tag", SIREN, "-q").err == ""
    write("fps = 25\nquiet = true")  # no way to go unnoticed
    assert invoke("tag", SIREN).complaint.endswith(str(found))
    found.unlink()
    write("fps = 25", user_folder)
    assert invoke("tag", SIREN).err == ""


@as_root
def test_a_file_of_another_user_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    above = write("top-k = 1", tmp_path)
    strangers = write("top-k = 2")
    os.chown(strangers, 12345, 12345)
    result = invoke("tag", SIREN, "-f", "jsonl")
    ignored, holds = result.err.splitlines()
    assert str(strangers) in ignored
    assert "DIFFRES_CONFIG" in ignored
    assert holds.endswith(str(above))
    assert str(strangers) in (shown := invoke("config").out)
    assert f"with {above}\n" in shown
    assert invoke("tag", SIREN, "-q").err == ""
    monkeypatch.setenv("DIFFRES_CONFIG", str(strangers))
    assert ["top-k", "2", str(strangers)] in [line.split() for line in invoke("config").out.splitlines()]
