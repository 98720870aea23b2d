"""`diffres models push`, as typed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_cache import NAME, SHIPPED, command, files_in
from hub_commands import OURS, Done, commit
from hub_server import Hub, sha256

# What the hub library and the HTTP library under it make of each other.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.mark.usefixtures("owner")
def test_what_is_pushed_can_be_installed(
    hub: Hub, cache: Path, folder: Path, diffres: Callable[..., Done]
) -> None:
    (folder / "notes.txt").write_text("not part of a checkpoint")
    pushed = diffres("models", "push", str(folder), OURS, "--private")
    assert pushed == (0, f"{OURS}@{commit(hub, 'me/mine')}\n", "")
    repo = hub.repositories["me/mine"]
    assert repo.private
    there = repo.commits[commit(hub, "me/mine")]
    assert there.keys() == {".gitattributes", *(path.name for path in SHIPPED.iterdir())}
    assert all(there[path.name] == path.read_bytes() for path in SHIPPED.iterdir())
    assert diffres("models", "install", OURS, "--weights").out == pushed.out
    assert files_in(cache) == {path.name for path in SHIPPED.iterdir()}
    assert not any(request.token for request in hub.asked("/lfs/", "PUT"))


@pytest.mark.usefixtures("owner")
def test_a_push_is_one_commit_and_takes_away_what_is_no_longer_there(
    hub: Hub, folder: Path, diffres: Callable[..., Done]
) -> None:
    diffres("models", "push", str(folder), OURS)
    (folder / "weights.safetensors").unlink()
    sums = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(line for line in sums if "weights" not in line))
    assert diffres("models", "push", str(folder), OURS).code == 0
    repo = hub.repositories["me/mine"]
    assert "weights.safetensors" not in repo.commits[commit(hub, "me/mine")]
    assert len(repo.commits) == 3  # made, pushed, pushed again


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Change a file and its checksum with it."""

    def change(folder: Path) -> None:
        path, sums = folder / name, folder / "SHA256SUMS"
        before = path.read_bytes()
        assert old.encode() in before
        after = before.replace(old.encode(), new.encode(), 1)
        path.write_bytes(after)
        sums.write_text(sums.read_text().replace(sha256(before), sha256(after)))

    return change


SPOILED = {
    "a changed byte": (
        lambda folder: (folder / "labels.csv").write_text("index"),
        "labels.csv has SHA-256",
    ),
    "no card": (lambda folder: (folder / "README.md").unlink(), "README.md is missing"),
    "no weights that are listed": (
        lambda folder: (folder / "weights.safetensors").unlink(),
        "weights.safetensors is missing",
    ),
    "no checksums": (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
    "an unlisted file": (
        lambda folder: (folder / "SHA256SUMS").write_text(
            (folder / "SHA256SUMS").read_text().replace("weights", "waits")
        ),
        "weights.safetensors is not in SHA256SUMS",
    ),
    "a card without a fact": (edit("README.md", "| trained on |", "| tried on |"), "lacks trained on"),
    "a blank fact": (edit("README.md", "| licence | MIT |", "| licence |  |"), "lacks licence"),
    "another licence": (edit("README.md", "| licence | MIT |", "| licence | GPL |"), "says licence 'GPL'"),
    "no front matter": (edit("README.md", "---\n", "\n"), "front matter"),
    "no licence for the hub": (edit("README.md", "license: mit\n", ""), "license: mit"),
    "broken front matter": (edit("README.md", "license: mit", "license: [mit"), "front matter"),
    "other labels": (edit("labels.csv", "Speech", "Peach"), "does not hold the model's classes"),
    "no model": (edit("model.onnx", "diffres/1", "diffres/0"), "not a diffres model"),
}


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED)
def test_an_incomplete_folder_is_refused_before_anything_is_sent(
    hub: Hub, folder: Path, diffres: Callable[..., Done], spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    refused = diffres("models", "push", str(folder), OURS)
    assert (refused.code, refused.out) == (3, "")
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert hub.requests == []


def test_pushing_without_a_token_says_how_to_give_one(
    hub: Hub, folder: Path, diffres: Callable[..., Done]
) -> None:
    refused = diffres("models", "push", str(folder), OURS)
    assert (refused.code, refused.out) == (3, "")
    assert "writing needs a token (401): set HF_TOKEN" in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.usefixtures("owner")
def test_private_is_never_pushed_to_a_public_model(
    hub: Hub, folder: Path, diffres: Callable[..., Done]
) -> None:
    before = commit(hub)
    refused = diffres("models", "push", str(folder), NAME, "--private")
    assert refused.code == 2
    assert "exists and is public" in refused.err
    assert commit(hub) == before


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(
    ("where", "method"), [("/commit/", "POST"), ("/preupload/", "POST"), ("/lfs/", "PUT")]
)
def test_a_push_that_is_refused_half_way_changes_nothing(
    hub: Hub, folder: Path, diffres: Callable[..., Done], where: str, method: str
) -> None:
    before = commit(hub)
    hub.fail(where, method=method, status=403)
    refused = diffres("models", "push", str(folder), NAME)
    assert (refused.code, refused.out) == (3, "")
    assert "may not write it (403)" in refused.err
    assert refused.err.count("\n") == 1
    assert commit(hub) == before


@pytest.mark.usefixtures("owner")
def test_what_the_library_tries_again_it_does_not_talk_about(hub: Hub, folder: Path) -> None:
    hub.fail("/preupload/", method="POST", status=503)
    line = command("models", "push", str(folder), NAME)
    done = subprocess.run(line, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{NAME}@{commit(hub)}\n", "")


@pytest.mark.usefixtures("owner")
def test_a_push_to_a_revision_is_refused(hub: Hub, folder: Path, diffres: Callable[..., Done]) -> None:
    refused = diffres("models", "push", str(folder), f"{NAME}@v1")
    assert refused.code == 2
    assert f"write {NAME}" in refused.err
    assert hub.requests == []
