"""The streams of an MPEG file, found by going from frame to frame: what a header states may be wrong.

Tags between frames are stepped over. Where something else stands there instead, the file is damaged:
silence takes the place of the frames that are missing, as far as their number can be told.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat

from diffres_cli.audio.mpegframe import (
    Header,
    counts_frames,
    is_xing,
    mute_frame,
    read_header,
    reservoir,
    silent_frame,
    stated_frames,
    with_frames,
)
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.stream import Stream, read_range
from diffres_cli.audio.tags import skip_id3, skip_tags

_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_IN_A_ROW = 3  # frames that follow one another: hardly by chance
_LEAD = 2**16  # bytes in which the first frame must begin, behind tags
_MUCH = 0.25
_STRAY = 2**12  # bytes behind the last frame that nobody misses
_WINDOW = 2**18
_HEAD = 64  # bytes of a frame that are looked at


@dataclass
class _Run:
    """Frames of one kind that follow one another without a gap."""

    start: int
    end: int
    frames: int
    header: Header


@dataclass
class _MpegStream:
    """Runs of one kind, the first of which may begin with a frame that counts those that follow."""

    runs: list[_Run]
    counter: bytes = b""  # that frame
    lost: list[int] = field(default_factory=list)  # bytes behind each run that are neither frame nor tag
    before: int = 0  # such bytes before the first run
    is_at_start: bool = False  # of the file, ID3 tags left out

    @property
    def header(self) -> Header:
        return self.runs[0].header

    @property
    def seconds(self) -> float:
        """How long a frame is."""
        return self.header.samples / self.header.sample_rate

    @property
    def frames(self) -> int:
        """Frames of sound."""
        return sum(run.frames for run in self.runs) - bool(self.counter)

    @property
    def stated(self) -> int:
        """Frames of sound by the first frame's count, 0 where there is none."""
        return stated_frames(self.counter) if self.counter else 0


def mpeg_streams(file: OpenFile, header: int = 0) -> Iterator[Stream]:
    """The MPEG streams in a file, one behind the other. Where none is found, libsndfile may know better.

    Args:
        header: bytes at the beginning that belong to another format.
    """
    streams = _find_streams(_Window(file), header)
    stream, following = next(streams, None), next(streams, None)
    if stream is None:
        yield Stream(states_length=False)
    is_only = following is None
    while stream is not None:
        yield _stream(file, stream, is_only)
        stream, following = following, next(streams, None)


def is_mpeg(file: OpenFile) -> bool:
    """Whether a file that begins with something else is much of it one run of frames, as no film is."""
    window = _Window(file)
    start, place = window.find_first()
    if place is None:
        return False
    run = _run(window, place)
    return run.end - run.start > (window.size - start) * _MUCH


class _Window:
    """A file, read through a window that moves along."""

    def __init__(self, file: OpenFile) -> None:
        self.file, self.size = file, file.size
        self._start, self._data = 0, b""

    def at(self, place: int, size: int) -> bytes:
        offset = place - self._start
        if not 0 <= offset <= len(self._data) - size:
            self._start, self._data, offset = place, self.file.peek(max(size, _WINDOW), place), 0
        return self._data[offset : offset + size]

    def find_first(self) -> tuple[int, int | None]:
        """Where tags and zeros at the beginning end, and where frames begin behind them."""
        head = self.file.peek(_LEAD)
        start = skip_tags(self.file, len(head) - len(head.lstrip(b"\0")))
        return start, self.find(start, min(self.size, start + _LEAD))

    def find(self, start: int, end: int) -> int | None:
        """Where frames begin, from `start` on and before `end`."""
        while start < end and (data := self.at(start, min(_WINDOW, self.size - start))):
            for match in _SYNC.finditer(data):
                if start + match.start() >= end:
                    return None
                if self._begins_frames(start + match.start()):
                    return start + match.start()
            start += max(1, len(data) - 1)
        return None

    def _begins_frames(self, place: int) -> bool:
        kind = None
        for _ in range(_IN_A_ROW):
            header = read_header(self.at(place, 4))
            if header is None or kind not in (None, header.kind):
                return False
            kind, place = header.kind, place + header.length
            if skip_tags(self.file, place) == self.size:
                return True
        return True


def _find_streams(window: _Window, header: int) -> Iterator[_MpegStream]:
    start, place = window.find_first()
    before = 0 if place is None else max(0, place - max(start, header))
    is_at_start = place == skip_id3(window.file)
    stream = None
    while place is not None:
        run = _run(window, place)
        counter = _counter(window, run)
        if stream is None or counter or run.header.kind != stream.header.kind:
            if stream is not None:
                yield stream
            stream = _MpegStream([run], counter, before=before, is_at_start=is_at_start)
            before, is_at_start = 0, False
        else:
            stream.runs.append(run)
        behind = skip_tags(window.file, run.end)
        place = window.find(behind, window.size)
        stream.lost.append((window.size if place is None else place) - behind)
    if stream is not None:
        yield stream


def _run(window: _Window, start: int) -> _Run:
    first = read_header(window.at(start, 4))
    assert first is not None
    kind, last, place, frames = first.kind, start, start, 0
    while True:
        head = window.at(place, _HEAD)
        header = read_header(head)
        if header is None or header.kind != kind or place + header.length > window.size:
            break
        if frames and counts_frames(head):
            break
        last, place, frames = place, place + header.length, frames + 1
    if frames > 1 and header is None and window.find(last + 4, place) is not None:
        return _Run(start, last, frames - 1, first)  # the last one is cut short, and others begin inside it
    return _Run(start, place, frames, first)


def _counter(window: _Window, run: _Run) -> bytes:
    frame = window.at(run.start, run.header.length)
    return frame if counts_frames(frame) else b""


def _stream(file: OpenFile, stream: _MpegStream, is_only: bool) -> Stream:
    silent = _silent_frames(stream)
    total, stated = stream.frames + sum(silent), stream.stated
    note = ""
    if 0 < stated < total - 1:  # some encoders are one out
        short, long = stated * stream.seconds, total * stream.seconds
        note = f"the header states {short:.2f} s, but {long:.2f} s are there; all are read"
    part = Stream(
        partial(_chunks, file, stream, silent, max(total, stated)),
        states_length=stated > 0,
        note=note,
        damage=_unread(stream, total),
        gaps=tuple(_gaps(stream, silent)),
    )
    is_direct = is_only and len(stream.runs) == 1 and stream.is_at_start
    is_right = stream.header.layer != 3 or (is_xing(stream.counter) and stated >= total)
    return replace(part, chunks=None) if is_direct and is_right else part


def _silent_frames(stream: _MpegStream) -> list[int]:
    """How many frames are missing behind each run but the last, no more in all than the header states."""
    missing = stream.stated - stream.frames if stream.stated else sys.maxsize
    mean = sum(run.end - run.start for run in stream.runs) / sum(run.frames for run in stream.runs)
    silent = []
    for lost in stream.lost[:-1]:
        silent.append(max(0, min(missing, round(lost / mean))))
        missing -= silent[-1]
    return [*silent, 0]


def _unread(stream: _MpegStream, total: int) -> str:
    """What is said of bytes before the first frame and behind the last, where they may have been sound."""
    if 0 < stream.stated <= total:
        return ""
    texts = []
    if stream.before:
        texts.append(f"its first {stream.before} bytes are not MPEG audio")
    if stream.lost[-1] > _STRAY:
        texts.append(f"{stream.lost[-1]} bytes behind {total * stream.seconds:.2f} s are not MPEG audio")
    return ", ".join(texts)


def _gaps(stream: _MpegStream, silent: list[int]) -> Iterator[tuple[int, int]]:
    frames = -bool(stream.counter)
    for run, missing in zip(stream.runs, silent, strict=True):
        frames += run.frames
        if missing:
            yield frames * stream.header.samples, missing * stream.header.samples
        frames += missing


def _chunks(file: OpenFile, stream: _MpegStream, silent: list[int], count: int) -> Iterator[bytes]:
    first = stream.runs[0]
    frame = stream.counter or file.peek(first.header.length, first.start)
    if stream.header.layer == 3:
        yield with_frames(frame, count)
    filler = silent_frame(frame)
    is_behind_damage = True  # for all one knows of what came before the file
    for run, missing, lost in zip(stream.runs, silent, stream.lost, strict=True):
        start = run.start + (len(stream.counter) if run is first else 0)
        muted = _incomplete(file, start, run.end) if is_behind_damage and stream.header.layer == 3 else []
        yield from muted
        yield from read_range(file, start + sum(map(len, muted)), run.end)
        yield from repeat(filler, missing)
        is_behind_damage = lost > 0


def _incomplete(file: OpenFile, start: int, end: int) -> list[bytes]:
    """The first frames, as far as they need bytes of lost ones, muted: other bytes become loud noise."""
    muted, held = list[bytes](), 0
    while start < end and (header := read_header(file.peek(4, start))):
        frame = file.peek(header.length, start)
        needed, own = reservoir(frame)
        if needed <= held:
            break
        muted.append(mute_frame(frame))
        start, held = start + header.length, held + own
    return muted
