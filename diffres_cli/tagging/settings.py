"""How to tag: frame rate, windows, which labels, and what to keep of each window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

from diffres_cli.audio import Channel
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.parents import Ancestors
from diffres_cli.errors import SettingError
from diffres_cli.tagging.labels import RANKINGS, Indices, Ranker, check_names, select_classes
from diffres_cli.text import shortened

_T = TypeVar("_T")

CHANNELS = "choose mix, each or the number of a channel, from 1"


@dataclass(frozen=True)
class Settings:
    """How to tag. None means the model's own default.

    Attributes:
        fps: output frames per second.
        top_k, min_confidence: how many labels, and from which score.
        window, overlap: seconds of audio classified at once, and shared by neighbours.
        start, duration: the part of the recording to tag, in seconds; None: to its end.
        channel: "mix" for the mean of all channels, the number of one, from 1, or "each".
        labels: only these, by name or id; None: all the model knows.
        events: find the labels' starts and ends; merge_gap, min_duration: see `join_events`, in seconds.
        importance, embeddings: keep each window's importance curve, and its pooled feature.
        ranking: "specific" puts a label before those above it, see `put_specific_first`; or "scores".
    """

    fps: float | None = None
    top_k: int = 5
    min_confidence: float = 0.1
    window: float | None = None
    overlap: float = 0.0
    start: float = 0.0
    duration: float | None = None
    labels: Sequence[str] | None = None
    events: bool = False
    merge_gap: float = 0.5
    min_duration: float = 0.0
    importance: bool = False
    embeddings: bool = False
    channel: Channel = "mix"
    ranking: str = "specific"

    def resolve(self, card: ModelCard) -> Settings:
        """These settings with the model's defaults filled in, all of them checked.

        Raises:
            SettingError: a value out of range or of the wrong type.
        """
        shortest = card.mel.minimum_samples / card.sample_rate
        window = max(shortest, card.sample_duration)
        if self.window is not None:
            window = check_number("window", self.window, shortest, 3600, f"{shortest:g} to 3600 seconds")
        longest, one_sample = 0.99 * window, 1 / card.sample_rate
        overlap = f"0 to 99 % of the window ({window:g} seconds)"
        fps, duration = self.fps, self.duration
        if fps is not None:
            fps = check_type("fps", fps, "such as 25")
        if duration is not None:
            duration = check_number("duration", duration, one_sample, _MAX_SECONDS, "more than 0 seconds")
        if not _is_channel(self.channel):
            raise SettingError("channel", self.channel, CHANNELS)
        if not (isinstance(self.ranking, str) and self.ranking in RANKINGS):
            raise SettingError("ranking", self.ranking, f"choose {' or '.join(RANKINGS)}")
        settings = replace(
            self,
            fps=card.check_fps(card.default_fps if fps is None else fps),
            top_k=int(check_number("top_k", self.top_k, 1, math.inf, "at least 1", Integral)),
            min_confidence=check_number("min_confidence", self.min_confidence, 0, 1, "0 to 1"),
            window=window,
            overlap=check_number("overlap", self.overlap, 0, longest, overlap),
            start=check_number("start", self.start, 0, _MAX_SECONDS, "0 or more seconds"),
            duration=duration,
            channel=self.channel if isinstance(self.channel, str) else int(self.channel),
            labels=None if self.labels is None else check_names(self.labels),
            events=check_bool("events", self.events),
            merge_gap=check_number("merge_gap", self.merge_gap, 0, 3600, "0 to 3600 seconds"),
            min_duration=check_number("min_duration", self.min_duration, 0, 3600, "0 to 3600 seconds"),
            importance=check_bool("importance", self.importance),
            embeddings=check_bool("embeddings", self.embeddings),
        )
        settings.allowed(card)
        return settings

    def ranker(self, card: ModelCard, ancestors: Ancestors) -> Ranker:
        """What picks and orders labels, for resolved settings. `ancestors`: see `find_ancestors`."""
        return Ranker(card, ancestors, self.top_k, self.min_confidence, self.allowed(card), self.ranking)

    def allowed(self, card: ModelCard) -> Indices | None:
        """The classes that `labels` names; None for all.

        Raises:
            SettingError: a name the model does not know.
        """
        return None if self.labels is None else select_classes(card, self.labels)


_MAX_SECONDS = 1e9  # seconds: finite, and more than 30 years


def check_number(
    setting: str, value: Any, least: float, most: float, allowed: str, kind: Any = Real
) -> float:
    """`value` as a float when it is a number from `least` to `most`.

    Args:
        allowed: the range in words. kind: `numbers.Integral` where fractions make no sense.

    Raises:
        SettingError: out of range, or not a number.

    >>> check_number("top_k", 2.5, 1, 9, "1 to 9", Integral)
    Traceback (most recent call last):
    diffres_cli.errors.SettingError: top_k 2.5: expected a whole number, 1 to 9
    """
    check_type(setting, value, allowed, kind)
    if not least <= value <= most:  # refuses NaN too
        raise SettingError(setting, value, f"must be {allowed}")
    return float(value)


def check_type(setting: str, value: Any, allowed: str, kind: Any = Real) -> float:
    """`value` as a float when it is a number, be it out of range; see `check_number`."""
    what = "a whole number" if kind is Integral else "a number"
    if isinstance(value, kind) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            problem = f"the number is too large, expected {what}, {allowed}"
            raise SettingError(setting, "", problem) from error
    shown = repr(value) if isinstance(value, str) else value
    raise SettingError(setting, shown, f"expected {what}, {allowed}")


def check_bool(setting: str, value: object) -> bool:
    """`value` when it is True or False, NumPy's included.

    Raises:
        SettingError: anything else, such as "no", which would count as True.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise SettingError(setting, shortened(value), "expected True or False")
    return bool(value)


def check_iterable(setting: str, values: Iterable[_T], expected: str) -> Iterator[_T]:
    """An iterator over `values`, of which none is taken yet.

    Raises:
        SettingError: a text, or what cannot be iterated.
    """
    try:
        if not isinstance(values, (str, bytes)):
            return iter(values)
    except TypeError:
        pass
    raise SettingError(setting, shortened(values), expected)


def require(value: _T | None) -> _T:
    """A value that resolved settings always have."""
    assert value is not None, "settings are resolved"
    return value


def _is_channel(channel: object) -> bool:
    if isinstance(channel, str):
        return channel in ("mix", "each")
    return isinstance(channel, Integral) and not isinstance(channel, bool) and int(channel) >= 1
