"""`diffres models`: install, list, check, remove and push, as typed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hub_cache import MODEL, NAME, SHIPPED
from hub_commands import Done, commit
from hub_server import Hub
from huggingface_hub import scan_cache_dir

from diffres_cli.checkpoint.find import find_model, hub_models, shipped_models

# What the hub library and the HTTP library under it make of each other.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_what_is_installed_is_listed_with_its_facts(hub: Hub, diffres: Callable[..., Done]) -> None:
    assert diffres("models", "install", NAME) == (0, f"{NAME}@{commit(hub)}\n", "")
    listed = diffres("models")
    assert (listed.code, listed.err) == (0, "")
    size = f"{len(MODEL) / 1e6:.1f}"
    heads, shipped, *_, installed = (line.split() for line in listed.out.splitlines())
    assert heads == ["name", "revision", "classes", "fps", "default", "size", "licence"]
    assert shipped == ["audioset-small", "shipped", "527", "20–100", "50", size, "MB", "MIT"]
    assert installed == [NAME, commit(hub)[:12], "(main)", "527", "20–100", "50", size, "MB", "MIT"]
    assert diffres("models", "list") == listed
    assert len(hub.asked("/api/models")) == 1


def test_info_needs_no_network_once_it_is_installed(hub: Hub, diffres: Callable[..., Done]) -> None:
    refused = diffres("models", "info", NAME, "--offline")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.count("\n") == 1
    assert f"run `diffres models install {NAME}`" in refused.err
    assert diffres("models", "info", NAME).code == 0
    hub.close()
    shown = diffres("models", "info", NAME, "--offline")
    assert shown.code == 0
    assert f"name          {NAME}@{commit(hub)}\n" in shown.out


INTACT = "".join(f"{name}  intact\n" for name in shipped_models())


def test_check_verifies_everything_and_install_repairs(hub: Hub, diffres: Callable[..., Done]) -> None:
    path = find_model(NAME)
    name = f"{NAME}@{commit(hub)}"
    assert diffres("models", "check") == (0, f"{INTACT}{name}  intact\n", "")
    path.write_bytes(MODEL[:-1])
    found = diffres("models", "check")
    assert (found.code, found.out) == (1, INTACT)
    assert f"{name}: model.onnx has SHA-256" in found.err
    assert diffres("models", "check", NAME).code == 3
    assert diffres("models", "list").code == 1
    assert diffres("models", "install", NAME).code == 0
    assert path.read_bytes() == MODEL
    assert diffres("models", "check", NAME) == (0, f"{NAME}  intact\n", "")


@pytest.mark.parametrize("gone", ["model.onnx", "README.md"])
@pytest.mark.parametrize("what", ["link", "bytes"])
def test_check_misses_a_file_that_is_gone(
    hub: Hub, diffres: Callable[..., Done], gone: str, what: str
) -> None:
    path = find_model(NAME).with_name(gone)
    (path.resolve() if what == "bytes" else path).unlink()
    name = f"{NAME}@{commit(hub)}"
    found = diffres("models", "check")
    assert (found.code, found.out) == (1, INTACT)
    assert found.err.startswith(f"diffres: {name}: {gone} is missing")
    assert diffres("models", "check", NAME).code == 3
    assert diffres("models", "list").code == (1 if gone == "model.onnx" else 0)
    assert diffres("models", "install", NAME).code == 0
    assert diffres("models", "check", NAME).code == 0
    assert diffres("models", "remove", NAME).code == 0


def test_check_misses_optional_files_whose_bytes_are_gone(hub: Hub, diffres: Callable[..., Done]) -> None:
    assert diffres("models", "install", NAME, "--weights").code == 0
    (find_model(NAME).with_name("weights.safetensors")).resolve().unlink()
    found = diffres("models", "check", NAME)
    assert (found.code, found.out) == (3, "")
    assert "weights.safetensors is missing" in found.err


def test_check_of_what_is_not_installed_asks_nobody(hub: Hub, diffres: Callable[..., Done]) -> None:
    refused = diffres("models", "check", NAME)
    assert refused == (2, "", f"diffres: {NAME}: not installed; `diffres models` lists what is\n")
    assert hub.requests == []


def test_remove_leaves_nothing(hub: Hub, cache: Path, diffres: Callable[..., Done]) -> None:
    find_model(NAME)
    name = f"{NAME}@{commit(hub)}"
    assert diffres("models", "remove", NAME) == (0, f"removed {name}\n", "")
    assert list(cache.glob("models--*")) == []
    assert diffres("models", "remove", NAME).code == 2


def test_removing_one_revision_leaves_what_others_share(
    hub: Hub, cache: Path, diffres: Callable[..., Done]
) -> None:
    old = find_model(NAME)
    new = hub.add("org/small", SHIPPED)
    diffres("models", "install", NAME)
    assert diffres("models", "remove", f"{NAME}@main") == (0, f"removed {NAME}@{new}\n", "")
    assert list(hub_models().values()) == [old.parent]
    assert diffres("models", "check").code == 0
    assert scan_cache_dir(cache).warnings == []
    assert diffres("models", "remove", f"{NAME}@{old.parent.name[:12]}").code == 0
    assert list(cache.glob("models--*")) == []


def test_only_what_is_ours_to_remove_is_removed(hub: Hub, cache: Path, diffres: Callable[..., Done]) -> None:
    find_model(NAME)
    foreign = cache / "models--org--bert" / "snapshots" / ("0a" * 20) / "model.onnx"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"of another program")
    foreign.with_name("README.md").write_text("---\nlibrary_name: transformers\n---\n")
    assert len(hub_models()) == 1
    for name in ("hf:org/bert", "audioset-small", "bert", f"{NAME}@v9", "hf:org/none"):
        refused = diffres("models", "remove", name)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.count("\n") == 1
    assert foreign.exists()
    assert len(hub_models()) == 1


# --- push
