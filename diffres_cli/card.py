"""The facts a model carries with it, in ONNX and safetensors metadata alike.

Keys follow opensoundscape's where it has them (`sample_rate`, `sample_duration`, `classes`); lists
and the mel settings are JSON, since both formats store strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from diffres_cli.errors import ModelError, UsageError
from diffres_cli.melconfig import MelConfig
from diffres_cli.variant import PLAIN, Variant

FORMAT = "diffres/1"
_ON_HUB = re.compile(
    r"mit|apache-2\.0|cc0-1\.0|bsd-[23]-clause|l?gpl-[23]\.[01]|cc-by(-nc)?(-sa|-nd)?-[234]\.[05]"
)
ARCHITECTURES = ("efficientnet_b0", "efficientnet_b2", "mobilenet_v3_large")


@dataclass(frozen=True)
class ModelCard:
    """What one needs to know to run a model and to cite it.

    Attributes:
        classes, class_ids: label names and ontology ids, in the order of the scores.
        sample_rate: Hz. sample_duration: the window it was made for, s.
        minimum_fps, maximum_fps, default_fps: output frames per second it serves.
        multi_label: several labels may hold at once (sigmoid scores), or exactly one.
        width: channel multiplier of the backbone.
        variant: what it does otherwise than DiffRes on mel; `mel` has the numbers of any front end.
    """

    name: str
    architecture: str
    classes: tuple[str, ...]
    class_ids: tuple[str, ...]
    mel: MelConfig
    license: str
    trained_on: str
    derived_from: str = ""
    sample_duration: float = 10.0
    minimum_fps: float = 20.0
    maximum_fps: float = 100.0
    default_fps: float = 50.0
    multi_label: bool = True
    width: float = 1.0
    variant: Variant = PLAIN

    @property
    def sample_rate(self) -> int:
        """Rate the model listens at, Hz."""
        return self.mel.sample_rate

    @property
    def hub_license(self) -> str:
        """The licence as the hub's front matter has it; "other" for one it has no word for.

        >>> from diffres_cli.melconfig import PAPER
        >>> ModelCard("x", "efficientnet_b0", (), (), PAPER, "CC BY 4.0", "").hub_license
        'cc-by-4.0'
        """
        word = self.license.lower().replace(" ", "-")
        return word if _ON_HUB.fullmatch(word) else "other"

    def check_fps(self, fps: float) -> float:
        """`fps` when the model serves it.

        Raises:
            UsageError: outside minimum_fps to maximum_fps.
        """
        if not self.minimum_fps <= fps <= self.maximum_fps:  # refuses NaN too
            raise UsageError(
                f"--fps {fps:g}: {self.name} serves {self.minimum_fps:g} to {self.maximum_fps:g} frames "
                f"per second (default {self.default_fps:g})"
            )
        return fps

    def to_metadata(self) -> dict[str, str]:
        """Strings for ONNX or safetensors metadata."""
        plain = {"format": FORMAT, "sample_rate": self.sample_rate, **asdict(self)}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in plain.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: str) -> ModelCard:
        """Read back what `to_metadata` wrote.

        Raises:
            ModelError: metadata that is not a diffres model's, or is incomplete.
        """
        if metadata.get("format") != FORMAT:
            raise ModelError(
                f"{path}: not a diffres model (metadata 'format' is {metadata.get('format')!r}, expected "
                f"{FORMAT!r}): make one with `diffres export`, or see `diffres models`"
            )
        try:
            card = cls(**{field.name: _read(field.name, metadata) for field in fields(cls)})
            same = len(card.classes) == len(card.class_ids)
            _checked("class_ids", len(card.class_ids), same, f"{len(card.classes)}, one for each class")
            return card
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path}: damaged model metadata ({error!r}): export or download it again"
            ) from error

    def renamed(self, name: str) -> ModelCard:
        """The same card under another name."""
        return replace(self, name=name)


_LISTS = ("classes", "class_ids")
_TEXTS = ("name", "architecture", "license", "trained_on", "derived_from")


def _read(name: str, metadata: Mapping[str, str]) -> Any:
    if name in _TEXTS:
        return metadata[name]
    if name == "variant":
        return _variant(json.loads(metadata.get(name, "{}")))  # models were made before there were any
    value = json.loads(metadata[name])
    if name == "mel":
        return MelConfig(**value)
    if name in _LISTS:
        named = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return tuple(_checked(name, value, named, "a list of names"))
    return _checked(name, value, isinstance(value, (int, float)), "a number")


def _variant(value: Any) -> Variant:
    found = Variant(**value)
    faults = "; ".join(found.faults())
    _checked("variant", value, not faults, f"one of ours: {faults}")
    return found


def _checked(name: str, value: Any, fits: bool, expected: str) -> Any:
    if not fits:
        raise ValueError(f"{name} is {value!r}, expected {expected}")
    return value
