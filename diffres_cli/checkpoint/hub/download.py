"""Files of one commit on the hub -> the standard hub cache, verified, and resumed when cut.

The bytes come by `diffres_cli.transfer`, with the hub library's token and locks, into its places: its own
download starts over with every call and compares sizes only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli import __version__
from diffres_cli.checkpoint.hub.cache import cache_folder, remove_cached, repo_folder, set_branch
from diffres_cli.checkpoint.hub.reference import COMMIT, Reference
from diffres_cli.checkpoint.hub.session import MOVE_CACHE, hub_session
from diffres_cli.errors import ModelError
from diffres_cli.transfer import Remote, TransferError, fetch, find_difference

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoSibling

_MAX_TEXT_SIZE = 2**24  # bytes
_CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """A file as the hub states it.

    Attributes:
        size: bytes. checksum: git's SHA-1 of the blob, or for large files SHA-256 of the bytes.
    """

    name: str
    size: int
    checksum: str

    @property
    def stated(self) -> str:
        """The checksum with its kind."""
        return f"{'sha256' if len(self.checksum) == 64 else 'git'}:{self.checksum}"


def download_files(
    reference: Reference,
    names: Sequence[str],
    check: Callable[[Path], None],
    *,
    optional: Collection[str] = (),
    offline: bool = False,
) -> Path:
    """Fetch the named files of a model, in this order; whatever else it holds is ignored.

    The revision becomes current in the cache only after `check` has seen the folder.

    Args:
        check: given the folder, raises to refuse it; its files are then removed.
        optional: those of the names that a model may lack.
        offline: do not use the network, as HF_HUB_OFFLINE.

    Returns:
        The folder of the commit in the cache.

    Raises:
        UsageError: no such model or revision. OutputError: the cache cannot be written.
        ModelError: a file is missing, or damaged on the way; the hub refuses or cannot be reached.
    """
    from huggingface_hub import constants

    if offline or constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{reference}: not in the cache ({cache_folder()}), and offline or HF_HUB_OFFLINE forbids the "
            f"network: run `diffres models install {reference}` with one"
        )
    with hub_session(reference) as api:
        commit, blobs = _state(api, reference, names, optional)
        _check_sizes(reference, blobs)
        pinned = reference.at(commit)
        folder = repo_folder(reference) / "snapshots" / commit
        for blob in blobs:
            _place(pinned, blob, folder / blob.name)
        try:
            check(folder)
        except ModelError:
            remove_cached(pinned)
            raise
        set_branch(reference, commit)
    return folder


def _state(
    api: HfApi, reference: Reference, names: Sequence[str], optional: Collection[str]
) -> tuple[str, list[Blob]]:
    """The commit a revision means on the hub, and the files as the hub states them."""
    from huggingface_hub import constants

    try:
        info = api.model_info(
            reference.repo,
            revision=reference.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
        files = {file.rfilename: file for file in info.siblings or []}
        blobs = [_blob(files[name]) for name in names if name in files]
        if not COMMIT.fullmatch(info.sha or ""):
            raise ValueError("no commit")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{reference}: {constants.ENDPOINT} does not answer as a hub does: check HF_ENDPOINT and proxies"
        ) from error
    missing = [name for name in names if name not in files and name not in optional]
    if missing:
        raise ModelError(
            f"{reference}: not a complete diffres checkpoint: it has no {', '.join(missing)}: make one with "
            "`diffres export` and `diffres models push`"
        )
    return info.sha or "", blobs


def _check_sizes(reference: Reference, blobs: Sequence[Blob]) -> None:
    """Raises ModelError where a text has the size of a model: texts go through memory."""
    for blob in blobs:
        if blob.size > _MAX_TEXT_SIZE and not blob.name.endswith((".onnx", ".safetensors")):
            raise ModelError(
                f"{reference}: {blob.name} has {blob.size / 1e6:.0f} MB: a checkpoint's cards and lists have "
                f"at most {_MAX_TEXT_SIZE / 1e6:.0f} MB"
            )


def _blob(file: RepoSibling) -> Blob:
    checksum = file.lfs.sha256 if file.lfs else file.blob_id
    size = file.lfs.size if file.lfs else file.size
    # Both become part of paths and requests.
    if not isinstance(size, int) or not _CHECKSUM.fullmatch(checksum or ""):
        raise ValueError(f"{file.rfilename}: no size or checksum")
    return Blob(file.rfilename, size, checksum or "")


def _place(reference: Reference, blob: Blob, path: Path) -> None:
    """Let the file be at `path`; whatever is there and is not the file goes."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    with suppress(OSError):
        if not find_difference(path, blob.size, blob.stated):
            return
    repo = repo_folder(reference)
    stored = repo / "blobs" / blob.checksum
    lock = repo.parent / ".locks" / repo.name / f"{blob.checksum}.lock"
    for parent in (path.parent, stored.parent, lock.parent):
        parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        try:
            _fetch(reference, blob, stored)
        except TransferError as error:
            raise ModelError(f"{reference}: {blob.name}: {error}") from error
        path.unlink(missing_ok=True)
        try:
            path.symlink_to(os.path.relpath(stored, path.parent))
        except OSError:  # Windows, and file systems without links
            stored.replace(path)


def _fetch(reference: Reference, blob: Blob, stored: Path) -> None:
    """Fetch a file, resuming where the last attempt, of this process or another, was cut."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
        tqdm,
    )

    remote = Remote(
        hf_hub_url(reference.repo, blob.name, revision=reference.revision), blob.size, blob.stated,
        build_hf_headers(library_name="diffres", library_version=__version__),
        hf_raise_for_status, "what the hub states", MOVE_CACHE,
    )  # fmt: skip
    bar = tqdm(  # type: ignore[no-untyped-call]
        total=blob.size, desc=blob.name, unit="B", unit_scale=True, leave=False
    )
    with bar:
        fetch(
            remote, stored, stored.with_name(f"{stored.name}.incomplete"),
            lambda here: bar.update(here - bar.n), timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )  # fmt: skip
