"""Files -> one commit on the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffres_cli import __version__
from diffres_cli.checkpoint.hub.failures import explained
from diffres_cli.checkpoint.hub.quiet import quiet_library
from diffres_cli.checkpoint.hub.reference import Reference
from diffres_cli.errors import OutputError, UsageError


def upload(
    folder: Path,
    names: Sequence[str],
    reference: Reference,
    *,
    stale: Sequence[str] = (),
    private: bool = False,
    message: str,
) -> Reference:
    """Commit the named files of a folder to a model's main branch; the model is made where there is none.

    Args:
        stale: files to delete from the hub where it has them. private: the model must not be public.

    Returns:
        The commit.

    Raises:
        UsageError: a revision was given, or `private` and the model is public.
        OutputError: the hub refuses or cannot be reached; it is unchanged then.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    if reference.revision is not None:
        raise UsageError(f"{reference}: a push makes a commit of its own: write {Reference(reference.repo)}")
    api = HfApi(library_name="diffres", library_version=__version__)
    with quiet_library(), explained(reference, writing=True):
        api.create_repo(reference.repo, private=private or None, exist_ok=True)
        info = api.model_info(reference.repo)
        if private and not info.private:
            raise UsageError(f"{reference}: exists and is public: make it private on the hub, or push it so")
        there = {file.rfilename for file in info.siblings or []}
        commit = api.create_commit(
            reference.repo,
            [
                *(CommitOperationAdd(name, folder / name) for name in names),
                *(CommitOperationDelete(name) for name in stale if name in there),
            ],
            commit_message=message,
        )
    if not commit.oid:
        raise OutputError(f"{reference}: the hub made no commit")
    return reference.at(commit.oid)
