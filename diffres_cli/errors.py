"""What can go wrong, in the words of the person it happens to.

Domain code raises one of these and never prints; `diffres_cli.cli` turns it into one line on
standard error and an exit code. A message names what was received, what is allowed and what to do.
"""


class DiffresError(Exception):
    """Any failure diffres can explain. `str(error)` is the one line shown to the user."""

    exit_code = 3


class UsageError(DiffresError):
    """A request that cannot be carried out as worded: a bad option value, an unknown model name."""

    exit_code = 2


class AudioError(DiffresError):
    """One recording that cannot be read or tagged; the others are not affected."""


class OverdueError(DiffresError):
    """Work that made no progress for as long as it may, and was given up."""


class ModelError(DiffresError):
    """A model file that is missing, damaged, not ours, or cannot run where it was asked to."""


class OutputError(DiffresError):
    """A result that could not be written; whatever stood at that path before is untouched."""


class DependencyError(DiffresError):
    """A package that is not installed, or does not load. The message names the install command."""


class MissingDependencyError(DependencyError):
    """A package that is not installed."""


class BrokenDependencyError(DependencyError):
    """A package that is installed and does not load. The message has its own reason."""


class DataError(DiffresError):
    """A dataset that is not where or what it should be: a wrong folder, an unknown label, an empty split."""

    exit_code = 2


class TrainingError(DiffresError):
    """A training run that cannot go on, or may not: its loss is no number, or what it rests on changed."""
