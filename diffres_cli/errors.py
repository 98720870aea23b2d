"""What can go wrong, in the user's terms.

Domain code raises one of these and never prints; `diffres_cli.cli` turns it into one line on
standard error and an exit code. A message names what was received, what is allowed and what to do.
"""


class DiffresError(Exception):
    """Any failure diffres can explain. `str(error)` is the one line shown to the user."""

    exit_code = 3


class UsageError(DiffresError):
    """A request that cannot be carried out: a bad option value, an unknown model name."""

    exit_code = 2


class SettingError(UsageError):
    """A setting with a value it cannot have.

    `str(error)` starts with the setting's name in Python: "fps 200: must be 20 to 100". The command line
    spells it as what set it: --fps 200, DIFFRES_FPS=200, or a line of diffres.toml.

    Args:
        setting: its name in Python, such as "top_k". value: what was given, "" to leave it out.
        problem: what is allowed.

    >>> str(SettingError("fps", 200.0, "must be 20 to 100"))
    'fps 200: must be 20 to 100'
    """

    def __init__(self, setting: str, value: object, problem: str) -> None:
        self.setting, self.value, self.problem = setting, value, problem
        super().__init__(setting, value, problem)

    def __str__(self) -> str:
        return self.describe(self.setting)

    def describe(self, name: str) -> str:
        """The message with the setting under another name, such as "--fps"."""
        value = f"{self.value:g}" if isinstance(self.value, float) else str(self.value)
        return f"{name} {value}: {self.problem}" if value else f"{name}: {self.problem}"


class AudioError(DiffresError):
    """One recording that cannot be read or tagged; the others are not affected."""


class StalledError(DiffresError):
    """Work that made no progress within its time limit and was abandoned."""


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
    """A training run that cannot continue: its loss is not a number, or its recipe or data changed."""
