"""Files of one commit on the hub -> the standard hub cache, verified, and resumed when cut.

The hub library's own download starts over after every interruption and compares sizes only, not
checksums; so the bytes are fetched here, with its session, token and locks, into its places.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from diffres_cli import __version__
from diffres_cli.errors import ModelError
from diffres_cli.hub.cache import cache_folder, point, remove, repo_folder
from diffres_cli.hub.failures import explained, is_transport
from diffres_cli.hub.quiet import quiet_library
from diffres_cli.hub.reference import COMMIT, Reference

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

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

    def is_at(self, path: Path) -> bool:
        """Whether exactly these bytes are at a path."""
        try:
            data = path.read_bytes()
        except OSError:
            return False
        if len(self.checksum) == 64:
            return hashlib.sha256(data).hexdigest() == self.checksum
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == self.checksum


def download(
    reference: Reference,
    names: Sequence[str],
    check: Callable[[Path], None],
    *,
    optional: Sequence[str] = (),
    offline: bool = False,
) -> Path:
    """Fetch the named files of a model, in this order; whatever else it holds is ignored.

    The revision becomes current in the cache only after `check` has seen the folder.

    Args:
        check: given the folder, raises to refuse it; its files are then removed.
        optional: files to fetch first, where the model has them.
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
            f"{reference}: not in the cache ({cache_folder()}), and --offline or HF_HUB_OFFLINE forbids the "
            f"network: run `diffres models install {reference}` with one"
        )
    with quiet_library(), explained(reference):
        commit, blobs = _state(reference, names, optional)
        pinned = reference.at(commit)
        folder = repo_folder(reference) / "snapshots" / commit
        for blob in blobs:
            _place(pinned, blob, folder / blob.name)
        try:
            check(folder)
        except ModelError:
            remove(pinned)
            raise
        point(reference, commit)
    return folder


def _state(reference: Reference, names: Sequence[str], optional: Sequence[str]) -> tuple[str, list[Blob]]:
    """The commit a revision means on the hub, and what it says of the files."""
    from huggingface_hub import HfApi, constants

    api = HfApi(library_name="diffres", library_version=__version__)
    try:
        info = api.model_info(
            reference.repo,
            revision=reference.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
        files = {file.rfilename: file for file in info.siblings or []}
        blobs = [_blob(files[name]) for name in (*optional, *names) if name in files]
    except (KeyError, TypeError, ValueError) as error:
        raise _no_hub(reference) from error
    if not COMMIT.fullmatch(info.sha or ""):
        raise _no_hub(reference)
    missing = [name for name in names if name not in files]
    if missing:
        raise ModelError(
            f"{reference}: not a complete diffres checkpoint: it has no {', '.join(missing)}: make one with "
            "`diffres export` and `diffres models push`"
        )
    return info.sha or "", blobs


def _blob(file: RepoSibling) -> Blob:
    checksum = file.lfs.sha256 if file.lfs else file.blob_id
    size = file.lfs.size if file.lfs else file.size
    # Both become part of paths and requests.
    if not isinstance(size, int) or not _CHECKSUM.fullmatch(checksum or ""):
        raise ValueError(f"{file.rfilename}: no size or checksum")
    return Blob(file.rfilename, size, checksum or "")


def _no_hub(reference: Reference) -> ModelError:
    from huggingface_hub import constants

    return ModelError(
        f"{reference}: {constants.ENDPOINT} does not answer as a hub does: check HF_ENDPOINT and proxies"
    )


def _place(reference: Reference, blob: Blob, path: Path) -> None:
    """Let the file be at `path`; whatever is there and is not the file goes."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    if blob.is_at(path):
        return
    repo = repo_folder(reference)
    stored = repo / "blobs" / blob.checksum
    lock = repo.parent / ".locks" / repo.name / f"{blob.checksum}.lock"
    for parent in (path.parent, stored.parent, lock.parent):
        parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not blob.is_at(stored):
            _fetch(reference, blob, stored)
        path.unlink(missing_ok=True)
        try:
            path.symlink_to(os.path.relpath(stored, path.parent))
        except OSError:  # Windows, and file systems without links
            stored.replace(path)


def _fetch(reference: Reference, blob: Blob, stored: Path) -> None:
    """Fetch a file, going on where the last attempt, of this process or another, was cut."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    url = hf_hub_url(reference.repo, blob.name, revision=reference.revision)
    partial = stored.with_name(f"{stored.name}.incomplete")
    bar = tqdm(  # type: ignore[no-untyped-call]
        total=blob.size, desc=blob.name, unit="B", unit_scale=True, leave=False
    )
    with partial.open("ab") as file, bar:
        while (reached := file.tell()) < blob.size:
            bar.update(reached - bar.n)
            cut = _append(url, file, bar.update)
            if file.tell() <= reached:
                raise cut or ModelError(f"{reference}: {blob.name}: the hub sends less than it states")
    if not blob.is_at(partial):
        partial.unlink()
        raise ModelError(
            f"{reference}: {blob.name} is not what the hub states (checksum {blob.checksum[:12]}…): "
            "nothing of it was kept: try again"
        )
    partial.replace(stored)


def _append(url: str, file: BinaryIO, on_bytes: Callable[[int], object]) -> Exception | None:
    """Ask for what is missing of a file.

    Returns:
        What cut the connection, if it was cut.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    headers = build_hf_headers(library_name="diffres", library_version=__version__)
    headers |= {"Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"}
    try:
        with get_session().stream(
            "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        ) as response:
            hf_raise_for_status(response)
            if response.status_code != 206:  # a server that knows no ranges sends everything
                file.seek(file.truncate(0))
            for chunk in response.iter_bytes():
                on_bytes(file.write(chunk))
    except Exception as error:
        if not is_transport(error):
            raise
        return error
    finally:
        with suppress(OSError):
            file.flush()
    return None
