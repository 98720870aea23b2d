"""The standard hub cache: what is in it, found and removed without a network.

Its layout is the hub library's, documented there: refs/BRANCH holds a commit, snapshots/COMMIT/FILE
links to blobs/CHECKSUM. It is read here because the library takes half a second to import.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from diffres_cli.checkpoint.hub.reference import COMMIT, Reference, reference_of
from diffres_cli.errors import OutputError
from diffres_cli.files import reason

DEFAULT_REVISION = "main"
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def cache_folder() -> Path:
    """Where HF_HUB_CACHE, else HF_HOME, puts models."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repo_folder(reference: Reference) -> Path:
    """The part of the cache that holds one model, all its revisions."""
    return cache_folder() / f"models--{reference.repo.replace('/', '--')}"


def find_snapshot(reference: Reference) -> Path | None:
    """The cached folder of the commit that a reference points to; a commit may be abbreviated."""
    repo = repo_folder(reference)
    commit = _branch(repo, reference.revision or DEFAULT_REVISION) or reference.revision or ""
    if not _SHORT_COMMIT.fullmatch(commit):
        return None
    found = [folder for folder in (repo / "snapshots").glob(f"{commit}*") if COMMIT.fullmatch(folder.name)]
    return found[0] if len(found) == 1 else None


def snapshots() -> Iterator[tuple[Reference, Path]]:
    """Every commit in the cache that holds files, with its folder."""
    for folder in sorted(cache_folder().glob("models--*--*/snapshots/*")):
        reference = reference_of(folder / "file")
        if reference is not None:
            yield reference, folder


def branches(reference: Reference) -> list[str]:
    """The cached branches and tags that point to this commit."""
    refs = repo_folder(reference) / "refs"
    files = (path for path in sorted(refs.rglob("*")) if path.is_file() and path.suffix != ".part")
    names = (path.relative_to(refs).as_posix() for path in files)
    return [name for name in names if _branch(refs.parent, name) == reference.revision]


def set_branch(reference: Reference, commit: str) -> None:
    """Point a branch or tag to a commit.

    Raises:
        OSError: the cache cannot be written.
    """
    name = reference.revision or DEFAULT_REVISION
    if not commit.startswith(name):
        path = repo_folder(reference) / "refs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")  # another process may install it, too
        temporary.write_text(commit, "ascii")
        temporary.replace(path)


def remove_cached(reference: Reference) -> None:
    """Delete a model, or one revision of it, with the files no other revision uses.

    Raises:
        OutputError: the cache cannot be written.
    """
    try:
        if reference.revision is None:
            shutil.rmtree(repo_folder(reference))
        else:
            _remove_commit(reference)
    except OSError as error:
        raise OutputError(f"cannot remove {reference} from {cache_folder()}: {reason(error)}") from error


def _remove_commit(reference: Reference) -> None:
    # Not with the library: it searches all models for a commit, and copies of a model share commits.
    folder = find_snapshot(reference)
    if folder is None:
        return
    others = [other for other in folder.parent.iterdir() if other != folder]
    if not others:
        shutil.rmtree(repo_folder(reference))
        return
    for name in branches(reference.at(folder.name)):
        (repo_folder(reference) / "refs" / name).unlink()
    unused = _blobs([folder]) - _blobs(others)
    shutil.rmtree(folder)
    for blob in unused:
        blob.unlink()


def _blobs(folders: list[Path]) -> set[Path]:
    links = (path for folder in folders for path in folder.rglob("*") if path.is_symlink())
    return {path.resolve() for path in links if path.exists()}


def _branch(repo: Path, name: str) -> str | None:
    try:
        return (repo / "refs" / name).read_text("ascii").strip()
    except (OSError, ValueError):
        return None
