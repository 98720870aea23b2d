"""The hub library's API: what goes wrong in one line, and no warnings of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from typing import TYPE_CHECKING

from diffres_cli import __version__
from diffres_cli.checkpoint.hub.reference import Reference
from diffres_cli.errors import DiffresError, ModelError, OutputError, UsageError
from diffres_cli.files import reason
from diffres_cli.imports import import_failure
from diffres_cli.transfer import is_connection_error

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

MOVE_CACHE = "make room, or move HF_HOME"
_GIVE_TOKEN = "set HF_TOKEN to one, or run `hf auth login`"
_NEVER_CONNECTED = ("ConnectError", "ConnectTimeout", "InvalidURL", "ProxyError", "UnsupportedProtocol")


@contextmanager
def hub_session(reference: Reference, *, writing: bool = False) -> Iterator[HfApi]:
    """The API, within a block that turns what the hub library raises into a DiffresError.

    Raises:
        UsageError: no such model or revision. ModelError: it cannot be fetched. OutputError: the disk is
        full, or with `writing` anything the hub refuses.
    """
    try:
        with _silenced_library() as api:
            yield api
    except DiffresError:
        raise
    except Exception as error:  # of three libraries, which share no base class
        found = import_failure(error) or _explanation(error, reference, writing)
        if found is None:
            raise
        raise found from error


@contextmanager
def _silenced_library() -> Iterator[HfApi]:
    """Without warnings, since our errors repeat them, and with progress bars on a terminal only."""
    from huggingface_hub import HfApi, constants, logging
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    verbosity = logging.get_verbosity()
    shown = sys.stderr.isatty() or constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    change = not shown and not are_progress_bars_disabled()
    logging.set_verbosity(ERROR)
    if change:
        disable_progress_bars()
    try:
        yield HfApi(library_name="diffres", library_version=__version__)
    finally:
        logging.set_verbosity(verbosity)
        if change:
            enable_progress_bars()


def _explanation(error: BaseException, reference: Reference, writing: bool) -> DiffresError | None:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    kind: type[DiffresError] = OutputError if writing else ModelError
    if isinstance(error, OfflineModeIsEnabled):
        return kind(f"{reference}: HF_HUB_OFFLINE forbids the network: unset it")
    if isinstance(error, HfHubHTTPError):
        is_usage, message = _refusal(error, reference, writing)
        return (UsageError if is_usage else kind)(f"{reference}: {message}")
    if is_connection_error(error):
        return kind(f"{reference}: {_no_connection(error, writing)}")
    if error.__cause__ is not None:  # the library wraps what happens in its threads
        return _explanation(error.__cause__, reference, writing)
    if isinstance(error, OSError):
        where = error.filename or "the hub cache"
        return OutputError(f"{reference}: cannot write {where}: {reason(error)}: {MOVE_CACHE}")
    return None


def _refusal(error: HfHubHTTPError, reference: Reference, writing: bool) -> tuple[bool, str]:
    """Whether the request was wrong, and what the hub answered."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RevisionNotFoundError

    status, hub = error.response.status_code, constants.ENDPOINT
    if isinstance(error, RevisionNotFoundError):
        return True, f"{hub} has the model, not this revision: give a branch, tag or commit"
    if isinstance(error, GatedRepoError):
        return False, f"first ask for access at {hub}/{reference.repo}, then {_GIVE_TOKEN}"
    if status in (401, 403):
        return False, _not_allowed(status, writing)
    if isinstance(error, EntryNotFoundError):
        return False, f"{hub} lists {error.response.url.path}, and does not have it: try again"
    if status == 404:  # also where the model is private, to who may not read it
        token = _GIVE_TOKEN if get_token() is None else f"the token given may not read it: {_GIVE_TOKEN}"
        return True, f"unknown to {hub}: check the name; if it is private, {token}"
    answer = (error.server_message or "").partition("\n")[0] or "busy or down, try again later"
    return False, f"{hub} answered {status}: {answer}"


def _not_allowed(status: int, writing: bool) -> str:
    from huggingface_hub import get_token

    if get_token() is not None:
        doing = "write" if writing else "read"
        return f"the token given may not {doing} it ({status}): give another: {_GIVE_TOKEN}"
    if writing:
        return f"writing needs a token ({status}): {_GIVE_TOKEN}"
    return f"no such model, or a private one ({status}): check the name, or give a token: {_GIVE_TOKEN}"


def _no_connection(error: BaseException, writing: bool) -> str:
    from huggingface_hub import constants

    why = (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
    if type(error).__name__ in _NEVER_CONNECTED:
        return f"cannot reach {constants.ENDPOINT or repr('')}: {why}: check the network and HF_ENDPOINT"
    again = "try again" if writing else "run the same command again, it resumes where this one stopped"
    return f"the connection to {constants.ENDPOINT} broke ({why}): {again}"
