"""`hf:ORG/NAME@REVISION`: a model on the hub, by name or down to the commit."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from diffres_cli.errors import UsageError

PREFIX = "hf:"
COMMIT = re.compile(r"[0-9a-f]{40}")
_WORD = (
    r"[A-Za-z0-9_](?:[A-Za-z0-9_]|[.-](?=[A-Za-z0-9_]))*"  # so no --, which the cache's names use, and no ..
)
_REFERENCE = re.compile(rf"{PREFIX}({_WORD}/{_WORD})(?:@({_WORD}(?:/{_WORD})*))?")
_CACHED = re.compile(r"models--(.+)--(.+)")


@dataclass(frozen=True)
class Reference:
    """A model on the hub.

    Attributes:
        repo: "ORG/NAME". revision: a branch, tag or commit; None for the main branch.
    """

    repo: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read what `str` writes.

        Raises:
            UsageError: anything else.

        >>> Reference.parse("hf:org/name@v1.0")
        Reference(repo='org/name', revision='v1.0')
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r}: a model on the hub is written hf:ORG/NAME or hf:ORG/NAME@REVISION, "
                "the revision being a branch, tag or commit"
            )
        return cls(match[1], match[2])

    def at(self, revision: str) -> Reference:
        """The same model at another revision."""
        return replace(self, revision=revision)

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}" + (f"@{self.revision}" if self.revision else "")


def is_reference(model: str | Path) -> bool:
    """Whether a model's name is one on the hub."""
    return str(model).startswith(PREFIX)


def reference_of(path: Path) -> Reference | None:
    """The commit that a file in a hub cache belongs to; None for a file elsewhere.

    >>> print(reference_of(Path(f"hub/models--org--name/snapshots/{'0a' * 20}/model.onnx")))
    hf:org/name@0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
    """
    snapshot = path.absolute().parent
    repo = _CACHED.fullmatch(snapshot.parent.parent.name)
    if repo is None or snapshot.parent.name != "snapshots" or not COMMIT.fullmatch(snapshot.name):
        return None
    return Reference(f"{repo[1]}/{repo[2]}", snapshot.name)
