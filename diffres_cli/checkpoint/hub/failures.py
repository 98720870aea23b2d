"""What went wrong between here and the hub, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diffres_cli.checkpoint.hub.reference import Reference
from diffres_cli.errors import DiffresError, ModelError, OutputError, UsageError
from diffres_cli.files import reason
from diffres_cli.imports import import_failure
from diffres_cli.transfer import is_connection_error

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

MOVE_CACHE = "make room, or move HF_HOME"
_GIVE_TOKEN = "set HF_TOKEN to one, or run `hf auth login`"
_NEVER_CONNECTED = ("ConnectError", "ConnectTimeout", "InvalidURL", "ProxyError", "UnsupportedProtocol")


@contextmanager
def explained(reference: Reference, *, writing: bool = False) -> Iterator[None]:
    """Turn what the hub library raises into errors of ours.

    Raises:
        UsageError: no such model or revision. ModelError: it cannot be fetched. OutputError: the disk is
        full, or with `writing` anything the hub refuses.
    """
    try:
        yield
    except DiffresError:
        raise
    except Exception as error:  # of three libraries, which share no base class
        found = import_failure(error) or _explanation(error, reference, writing)
        if found is None:
            raise
        raise found from error


def _explanation(error: BaseException, reference: Reference, writing: bool) -> DiffresError | None:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    kind: type[DiffresError] = OutputError if writing else ModelError
    if isinstance(error, OfflineModeIsEnabled):
        return kind(f"{reference}: HF_HUB_OFFLINE forbids the network: unset it")
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, reference, writing, kind)
    if is_connection_error(error):
        return kind(f"{reference}: {_no_connection(error, writing)}")
    if error.__cause__ is not None:  # the library wraps what happens in its threads
        return _explanation(error.__cause__, reference, writing)
    if isinstance(error, OSError):
        where = error.filename or "the hub cache"
        return OutputError(f"{reference}: cannot write {where}: {reason(error)}: {MOVE_CACHE}")
    return None


def _refusal(
    error: HfHubHTTPError, reference: Reference, writing: bool, kind: type[DiffresError]
) -> DiffresError:
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RevisionNotFoundError

    status, hub = error.response.status_code, constants.ENDPOINT
    if isinstance(error, RevisionNotFoundError):
        return UsageError(
            f"{reference}: {hub} has the model, not this revision: give a branch, tag or commit"
        )
    if isinstance(error, GatedRepoError):
        return kind(f"{reference}: first ask for access at {hub}/{reference.repo}, then {_GIVE_TOKEN}")
    if status in (401, 403):
        return kind(f"{reference}: {_not_allowed(status, writing)}")
    if isinstance(error, EntryNotFoundError):
        return kind(f"{reference}: {hub} lists {error.response.url.path}, and does not have it: try again")
    if status == 404:
        return UsageError(f"{reference}: unknown to {hub}: check the name; if it is private, {_if_private()}")
    said = (error.server_message or "").partition("\n")[0] or "busy or down, try again later"
    return kind(f"{reference}: {hub} answered {status}: {said}")


def _if_private() -> str:
    """A hub answers as if there were no such model to who may not read it, too."""
    from huggingface_hub import get_token

    return _GIVE_TOKEN if get_token() is None else f"the token given may not read it: {_GIVE_TOKEN}"


def _not_allowed(status: int, writing: bool) -> str:
    from huggingface_hub import get_token

    if get_token() is not None:
        doing = "write" if writing else "read"
        return f"the token given may not {doing} it ({status}): give another: {_GIVE_TOKEN}"
    if writing:
        return f"writing needs a token ({status}): {_GIVE_TOKEN}"
    # A hub does not tell strangers which of the two it is.
    return f"no such model, or a private one ({status}): check the name, or give a token: {_GIVE_TOKEN}"


def _no_connection(error: BaseException, writing: bool) -> str:
    from huggingface_hub import constants

    why = (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
    if type(error).__name__ in _NEVER_CONNECTED:
        return f"cannot reach {constants.ENDPOINT or repr('')}: {why}: check the network and HF_ENDPOINT"
    again = "try again" if writing else "run the same command again, it goes on where this one stopped"
    return f"the connection to {constants.ENDPOINT} broke ({why}): {again}"
