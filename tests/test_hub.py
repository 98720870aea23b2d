"""Models from a hub, over HTTP on loopback: what is fetched, what comes from the cache, what is refused."""

import os
import subprocess
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest
from hub_cache import MODEL, NAME, SHIPPED, assert_nothing_usable, command, files_in
from hub_server import TOKEN, Hub
from repository import loaded_by

from diffres_cli.checkpoint.find import find_model, hub_models, install_model, read_model
from diffres_cli.checkpoint.hub.reference import Reference
from diffres_cli.errors import DiffresError, ModelError, UsageError

PARTS = {"SHA256SUMS", "README.md", "labels.csv", "parents.csv", "model.onnx"}


# --- what is fetched


def test_a_model_is_fetched_whole_and_pinned_to_its_commit(hub: Hub) -> None:
    path = find_model(NAME)
    commit = hub.repositories["org/small"].refs["main"]
    assert path.name == "model.onnx"
    assert path.read_bytes() == MODEL
    assert read_model(path).name == f"{NAME}@{commit}"
    assert {name: folder / "model.onnx" for name, folder in hub_models().items()} == {
        f"{NAME}@{commit}": path
    }


def test_nothing_but_a_checkpoints_own_files_is_fetched(hub: Hub, cache: Path) -> None:
    hub.add(
        "org/small",
        SHIPPED,
        setup__py=b"raise SystemExit",
        pytorch_model__bin=b"\x80\x04.",
        x__pkl=b"\x80\x04.",
    )
    find_model(NAME)
    assert files_in(cache) == PARTS
    assert {request.path.rpartition("/")[2] for request in hub.asked("/resolve/")} == PARTS


def test_the_weights_come_when_asked_for_and_of_the_same_commit(hub: Hub, cache: Path) -> None:
    graph = find_model(NAME)
    hub.add("org/small", SHIPPED, labels__csv=b"another commit")
    weights = find_model(NAME, weights=True)
    assert weights.parent == graph.parent
    assert weights.read_bytes() == (SHIPPED / "weights.safetensors").read_bytes()
    assert files_in(cache) == {*PARTS, "weights.safetensors"}
    assert len(hub.asked("/resolve/")) == len(PARTS) + 1


def test_a_table_of_parents_is_fetched_where_one_is_stated(hub: Hub, cache: Path) -> None:
    sums = [line for line in (SHIPPED / "SHA256SUMS").read_text().splitlines(True) if "parents" not in line]
    hub.add("org/small", SHIPPED, SHA256SUMS="".join(sums).encode(), parents__csv=None)
    assert find_model(NAME).exists()
    assert files_in(cache) == PARTS - {"parents.csv"}
    hub.add("org/small", SHIPPED, parents__csv=None)
    with pytest.raises(ModelError, match=r"contradict each other: parents\.csv is missing"):
        install_model(NAME)
    hub.add("org/small", SHIPPED)
    table = install_model(NAME) / "parents.csv"
    table.unlink()
    assert find_model(NAME).with_name("parents.csv") == table
    assert table.exists()


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", "COMMIT"])
def test_a_branch_a_tag_and_a_commit_are_revisions(hub: Hub, revision: str) -> None:
    repo = hub.repositories["org/small"]
    wanted = repo.commit(repo.commits[repo.refs["main"]], "v1.0")
    repo.refs["refs/pr/1"] = wanted
    repo.commit({"README.md": b"newer, and broken"})
    path = find_model(f"{NAME}@{revision.replace('COMMIT', wanted)}")
    assert path.parent.name == wanted
    assert find_model(f"{NAME}@{revision.replace('COMMIT', wanted[:12])}", offline=True) == path


def test_a_model_in_the_cache_is_used_without_asking_until_it_is_installed_again(hub: Hub) -> None:
    first = find_model(NAME)
    newer = hub.add("org/small", SHIPPED, ignored__txt=b"")
    asked = len(hub.requests)
    assert find_model(NAME) == find_model(NAME, offline=True) == first
    assert len(hub.requests) == asked
    assert install_model(NAME).name == newer
    assert find_model(NAME, offline=True).parent.name == newer
    assert find_model(f"{NAME}@{first.parent.name}", offline=True) == first  # it stays, under its name
    assert len(hub.asked("/cdn/")) == 1  # and what both share is there once


def test_what_other_software_left_in_the_cache_is_completed_before_it_is_used(hub: Hub, cache: Path) -> None:
    huggingface_hub.hf_hub_download("org/small", "model.onnx")
    assert_nothing_usable()
    find_model(NAME)
    assert files_in(cache) == PARTS
    assert len(hub.asked("/cdn/")) == 1
    assert huggingface_hub.hf_hub_download("org/small", "model.onnx", local_files_only=True) == str(
        find_model(NAME)
    )


def test_using_a_model_in_the_cache_loads_no_http_library(hub: Hub) -> None:
    find_model(NAME)
    code = f"from diffres_cli.checkpoint.find import find_model; find_model({NAME!r})"
    assert loaded_by(code, {"huggingface_hub.file_download", "httpx", "httpx2", "requests"}) == set()


def test_a_private_model_is_tagged_with_and_named_in_the_record(hub: Hub) -> None:
    """In a process of its own, which reads HF_ENDPOINT, HF_HOME and HF_TOKEN itself."""
    hub.repositories["org/small"].private = True
    line = command("tag", str(SHIPPED.parent.parent / "examples" / "siren.ogg"), "-f", "json", "-m", NAME)
    done = subprocess.run(
        line, env={**os.environ, "HF_TOKEN": TOKEN}, capture_output=True, text=True, check=True
    )
    assert f'"{NAME}@{hub.repositories["org/small"].refs["main"]}"' in done.stdout
    assert done.stderr == ""
    assert {request.token for request in hub.asked("/org/small")} == {TOKEN}
    assert [(request.host, request.token) for request in hub.asked("/cdn/")] == [("localhost", None)]
    hub.close()
    again = subprocess.run(line, env=os.environ, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout


MALFORMED = (
    "hf:  hf:small  hf:org/  hf:a/b/c  hf:org/na--me  hf:../x  hf:o/x@  hf:o/x@../y  hf:o/x.  hf:o/x@a..b"
)


@pytest.mark.parametrize("text", MALFORMED.split())
def test_a_malformed_reference_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="hf:ORG/NAME"):
        find_model(text, offline=True)


def test_a_reference_reads_what_it_writes() -> None:
    for text in (NAME, "hf:Org_1/na-me.v2@refs/pr/3", f"{NAME}@{'0a' * 20}"):
        assert str(Reference.parse(text)) == text


# --- what the hub may answer


def coded(status: int, code: str) -> dict:
    return {"status": status, "headers": {"X-Error-Code": code}}


REFUSALS = [
    ("/api/models/", {"status": 401}, ModelError, r"no such model, or a private one \(401\).*HF_TOKEN"),
    ("/api/models/", {"status": 403}, ModelError, r"\(403\).*HF_TOKEN"),
    ("/api/models/", coded(403, "GatedRepo"), ModelError, "ask for access at http"),
    ("/api/models/", coded(404, "RepoNotFound"), UsageError, "unknown to http"),
    ("/api/models/", coded(404, "RevisionNotFound"), UsageError, "not this revision"),
    ("/api/models/", {"status": 429}, ModelError, "answered 429: busy or down, try again later"),
    ("/api/models/", {"status": 503}, ModelError, "answered 503: busy or down, try again later"),
    (
        "/api/models/",
        {"body": b"<html>Log in to this wireless network</html>"},
        ModelError,
        "not answer as a hub",
    ),
    ("/api/models/", {"body": b'{"id": "org/small", "sha": "../../x"}'}, ModelError, "not answer as a hub"),
    ("labels.csv", coded(404, "EntryNotFound"), ModelError, r"lists .*labels\.csv, and does not have it"),
    ("/cdn/", {"status": 503}, ModelError, "answered 503"),
]


@pytest.mark.parametrize(("where", "fault", "error", "message"), REFUSALS)
def test_a_refusal_is_one_line_and_leaves_nothing(
    hub: Hub, where: str, fault: dict, error: type[DiffresError], message: str
) -> None:
    hub.fail(where, **fault)
    with pytest.raises(error, match=message) as raised:
        find_model(NAME)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(NAME)
    assert_nothing_usable()
    assert find_model(NAME).read_bytes() == MODEL


@pytest.mark.parametrize("answer", [{"status": 401}, coded(404, "RepoNotFound")])
def test_a_token_that_is_refused_is_told_from_none(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, answer: dict
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_stranger")
    hub.fail("/api/models/", **answer)
    with pytest.raises(DiffresError, match="the token given may not read it"):
        find_model(NAME)


def test_an_endpoint_that_cannot_be_reached_is_named(hub: Hub) -> None:
    hub.close()
    with pytest.raises(ModelError, match=f"cannot reach {hub.endpoint}.*HF_ENDPOINT"):
        find_model(NAME)


def test_a_repository_that_is_no_checkpoint_is_refused_before_anything_is_fetched(hub: Hub) -> None:
    hub.add("org/small", SHIPPED, SHA256SUMS=None, model__onnx=None)
    with pytest.raises(ModelError, match=r"not a complete .*: it has no SHA256SUMS, model\.onnx:"):
        find_model(NAME)
    assert hub.asked("/resolve/") == []


def test_offline_touches_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_nothing_usable()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=f"offline or HF_HUB_OFFLINE .*diffres models install {NAME}"):
        find_model(NAME)
    assert hub.requests == []
