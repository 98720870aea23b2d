"""The facts a model carries with it, in ONNX and safetensors metadata alike.

Keys follow opensoundscape's where it has them (`sample_rate`, `sample_duration`, `classes`); lists
and the mel settings are JSON, since both formats store strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from diffres_cli.checkpoint.frontend import MAX_FPS, MelConfig, Range, out_of_range
from diffres_cli.checkpoint.registry import is_import_path
from diffres_cli.checkpoint.variant import PAPER_VARIANT, Variant
from diffres_cli.errors import ModelError, SettingError
from diffres_cli.text import UNSAFE, escaped, shortened

FORMAT = "diffres/1"
_ON_HUB = re.compile(
    r"mit|apache-2\.0|cc0-1\.0|bsd-[23]-clause|l?gpl-[23]\.[01]|cc-by(-nc)?(-sa|-nd)?-[234]\.[05]"
)


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
    variant: Variant = PAPER_VARIANT

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms it takes, Hz."""
        return self.mel.sample_rate

    @property
    def import_paths(self) -> list[str]:
        """The parts of its network that are named by import path: code from outside diffres."""
        return [*self.variant.import_paths, *filter(is_import_path, [self.architecture])]

    @property
    def hub_license(self) -> str:
        """The licence as the hub's front matter has it; "other" for one it has no word for.

        >>> from diffres_cli.checkpoint.frontend import PAPER
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
            raise SettingError(
                "fps",
                float(fps),
                f"{self.name} serves {self.rates} frames per second (default {self.default_fps:g})",
            )
        return fps

    @property
    def has_one_rate(self) -> bool:
        """Whether it serves a single frame rate: then its graph has no input for it."""
        return self.minimum_fps == self.maximum_fps

    @property
    def rates(self) -> str:
        """The frame rates it serves, in words, fps.

        >>> from diffres_cli.checkpoint.frontend import PAPER
        >>> card = ModelCard("x", "efficientnet_b0", (), (), PAPER, "MIT", "")
        >>> card.rates, card.at_rate(25).rates
        ('20 to 100', '25')
        """
        return f"{self.minimum_fps:g}" + ("" if self.has_one_rate else f" to {self.maximum_fps:g}")

    def at_rate(self, fps: float) -> ModelCard:
        """The same card, serving one of its rates only.

        Raises:
            UsageError: outside minimum_fps to maximum_fps.
        """
        fps = float(self.check_fps(fps))
        return replace(self, minimum_fps=fps, maximum_fps=fps, default_fps=fps)

    def to_metadata(self) -> dict[str, str]:
        """Strings for ONNX or safetensors metadata."""
        plain = {"format": FORMAT, "sample_rate": self.sample_rate, **asdict(self)}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in plain.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: str) -> ModelCard:
        """Read back what `to_metadata` wrote.

        Raises:
            ModelError: metadata that is not a diffres model's, is incomplete, or makes no sense.
        """
        found = metadata.get("format")
        if found != FORMAT:
            raise ModelError(
                f"{path}: not a diffres model (metadata 'format' is {shortened(found)}, expected "
                f"{FORMAT!r}): make one with `diffres export`, or see `diffres models`"
            )
        try:
            card = cls(**{field.name: _read(field.name, metadata) for field in fields(cls)})
            _check_faults(card._faults())
            return card
        except (KeyError, TypeError, ValueError, RecursionError) as error:  # the last: brackets in brackets
            why = f"{type(error).__name__}: {escaped(str(error))[:_LONGEST_NAME]}"
            raise ModelError(
                f"{path}: damaged model metadata ({why}): export or download it again"
            ) from error

    def _faults(self) -> Iterator[str]:
        """A message for each value that no model can have."""
        numbers = {name: getattr(self, name) for name in _RANGES}
        wrong = list(out_of_range(numbers, _RANGES))
        yield from wrong
        if not (wrong or self.minimum_fps <= self.default_fps <= self.maximum_fps):
            yield f"default_fps is {self.default_fps:g}, not from minimum_fps to maximum_fps"
        if not isinstance(self.multi_label, bool):
            yield f"multi_label is {shortened(self.multi_label)}, must be true or false"
        if self.variant.anchors and self.variant.anchors[0] > self.mel.frame_rate:
            first, full = self.variant.anchors[0], self.mel.frame_rate
            yield f"anchors begin at {first:g} fps, must be at most the front end's rate ({full:g})"
        if len(self.class_ids) != len(self.classes):
            yield f"class_ids is {len(self.class_ids)}, expected {len(self.classes)}, one for each class"

    def renamed(self, name: str) -> ModelCard:
        """The same card under another name."""
        return replace(self, name=name)


_LISTS = ("classes", "class_ids")
_TEXTS = ("name", "architecture", "license", "trained_on", "derived_from")
_LONGEST, _LONGEST_NAME, _MOST_CLASSES = 2**24, 1000, 100_000  # characters, characters, names
_RANGES: dict[str, Range] = {
    "sample_duration": (float, 1e-3, 3600),
    "minimum_fps": (float, 1e-3, MAX_FPS),
    "maximum_fps": (float, 1e-3, MAX_FPS),
    "default_fps": (float, 1e-3, MAX_FPS),
    "width": (float, 1e-3, 10),
}


def _read(name: str, metadata: Mapping[str, str]) -> Any:
    text = metadata.get(name, "{}") if name == "variant" else metadata[name]  # older models have none
    if len(text) > _LONGEST:
        raise ValueError(f"{name} has {len(text)} characters, at most {_LONGEST} are read")
    if name in _TEXTS:
        return escaped(text)
    value = json.loads(text)
    if name in _LISTS:
        return _names(name, value)
    if name not in ("mel", "variant"):
        return value
    found = MelConfig(**value) if name == "mel" else _variant(value)
    _check_faults(f"{name}: {fault}" for fault in found.faults())
    return found


def _variant(value: Any) -> Variant:
    variant = Variant(**value)
    return replace(variant, anchors=tuple(variant.anchors)) if isinstance(variant.anchors, list) else variant


def _names(name: str, value: Any) -> tuple[str, ...]:
    """Names that a terminal, a table and a list of labels can hold."""
    if not (isinstance(value, list) and value and all(isinstance(each, str) for each in value)):
        raise ValueError(f"{name} is {shortened(value)}, expected a list of names")
    if len(value) > _MOST_CLASSES:
        raise ValueError(f"{name} has {len(value)} names, at most {_MOST_CLASSES} are read")
    for each in value:
        if UNSAFE.search(each) or len(each) > _LONGEST_NAME:
            raise ValueError(f"{name} has {shortened(each)}, with control characters or far too long")
    return tuple(value)


def _check_faults(faults: Iterable[str]) -> None:
    found = "; ".join(faults)
    if found:
        raise ValueError(found)
