"""How a command of `diffres models` ended, and what the tests publish."""

from typing import NamedTuple

from hub_server import Hub

OURS = "hf:me/mine"


class Done(NamedTuple):
    code: int
    out: str
    err: str


def commit(hub: Hub, repo: str = "org/small") -> str:
    return hub.repositories[repo].refs["main"]
