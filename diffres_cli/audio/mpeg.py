"""The streams of an MPEG file, found by going from frame to frame: what a header states may be wrong.

Tags between frames are stepped over. Where something else is there instead, the file is damaged:
silence replaces the missing frames, as far as their number is known.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from diffres_cli.audio.decoder import Stream
from diffres_cli.audio.mpegframe import (
    Counter,
    Header,
    header_of,
    muted_frame,
    read_counter,
    read_header,
    silent_frame,
    with_frames,
)
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.tags import another_recording, begins_recording, skip_id3, skip_tags

_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_IN_A_ROW = 3  # frames that follow one another: hardly by chance
_LEAD = 2**16  # bytes in which the first frame must begin, after tags
_MIN_MPEG_SHARE = 0.25  # of a file that must be one run of frames to count as MPEG
_STRAY = 2**12  # bytes; fewer after the last frame are not reported
_SEARCHED = 2**18  # bytes at once
_HEAD = 64  # bytes of a frame that are looked at


@dataclass
class _Run:
    """Frames of one kind that follow one another without a gap; in bytes."""

    header: Header
    start: int
    end: int
    frames: int
    lost: int = 0  # bytes after it that are neither frame nor tag
    missing: int = 0  # estimated number of frames lost after it


@dataclass
class _MpegStream:
    """Runs of one kind, the first of which may begin with a frame that counts those that follow."""

    header: Header  # of the first frame
    counter: Counter | None  # that frame, None where it is one of sound
    runs: list[_Run] = field(default_factory=list)
    before: int = 0  # bytes before the first run that are neither frame nor tag
    is_at_start: bool = False  # of the file, ID3 tags left out

    @property
    def stated(self) -> int:
        """Frames of sound by the first frame's count, 0 where there is none."""
        return self.counter.frames if self.counter else 0

    @property
    def frames(self) -> int:
        """Frames of sound, and those that are missing."""
        return sum(run.frames + run.missing for run in self.runs) - bool(self.counter)

    def seconds(self, frames: int) -> float:
        """How long that many frames are."""
        return frames * self.header.samples / self.header.sample_rate


def mpeg_streams(file: OpenFile, header: int = 0) -> list[Stream]:
    """The MPEG streams in a file, one after the other. Where none is found, libsndfile tries the file.

    Args:
        header: bytes at the beginning that belong to another format.
    """
    streams = _find_streams(file, header)
    return [_stream(file, stream, len(streams) == 1) for stream in streams] or [Stream(states_length=False)]


def is_mpeg(file: OpenFile) -> bool:
    """Whether a file that begins with something else is much of it one run of frames, as no film is."""
    start, place = _find_first(file)
    if place is None:
        return False
    run = _run(file, place)
    return run.end - run.start > (file.size - start) * _MIN_MPEG_SHARE


def _find_first(file: OpenFile) -> tuple[int, int | None]:
    """Where tags and zeros at the beginning end, and where frames begin after them."""
    head = file.peek(_LEAD)
    start = skip_tags(file, len(head) - len(head.lstrip(b"\0")))
    return start, _find_frames(file, start, min(file.size, start + _LEAD))


def _find_frames(file: OpenFile, start: int, end: int) -> int | None:
    """Where frames begin, from `start` on and before `end`."""
    while start < end and (data := file.peek(min(_SEARCHED, file.size - start), start)):
        for match in _SYNC.finditer(data):
            place = start + match.start()
            if place >= end:
                return None
            if _begins_frames(file, place):
                return place
        start += max(1, len(data) - 1)
    return None


def _begins_frames(file: OpenFile, place: int) -> bool:
    kind = None
    for _ in range(_IN_A_ROW):
        header = read_header(file.peek(4, place))
        if header is None or kind not in (None, header.kind):
            return False
        kind, place = header.kind, place + header.length
        if skip_tags(file, place) == file.size:
            return True
    return True


def _find_streams(file: OpenFile, header: int) -> list[_MpegStream]:
    streams = list[_MpegStream]()
    start, place = _find_first(file)
    before, is_at_start = (place or 0) - max(start, header), place == skip_id3(file)
    while place is not None:
        run = _run(file, place)
        counter = read_counter(file.peek(run.header.length, place))
        if not streams or counter or run.header.kind != streams[-1].header.kind:
            streams.append(_MpegStream(run.header, counter))
        streams[-1].runs.append(run)
        after_tags = skip_tags(file, run.end)
        place = _find_frames(file, after_tags, file.size)
        run.lost = (file.size if place is None else place) - after_tags
    if streams:
        streams[0].before, streams[0].is_at_start = max(0, before), is_at_start
    return streams


def _run(file: OpenFile, start: int) -> _Run:
    first = header_of(file.peek(4, start))
    size, last, place, frames = file.size, start, start, 0
    while True:
        head = file.peek(_HEAD, place)
        header = read_header(head)
        if header is None or header.kind != first.kind or place + header.length > size:
            break
        if frames and read_counter(head):
            break
        last, place, frames = place, place + header.length, frames + 1
    if frames > 1 and header is None and _find_frames(file, last + 4, place) is not None:
        return _Run(first, start, last, frames - 1)  # the last one is cut short, and others begin inside it
    return _Run(first, start, place, frames)


def _stream(file: OpenFile, stream: _MpegStream, is_only: bool) -> Stream:
    _count_missing(stream)
    stated, frames = stream.stated, stream.frames
    notes = []
    if 0 < stated < frames - 1:  # some encoders are one out
        short, long = stream.seconds(stated), stream.seconds(frames)
        notes.append(f"the header states {short:.2f} s, but {long:.2f} s are there; all are read")
    after_tags = skip_tags(file, stream.runs[-1].end)
    is_counted = 0 < stated <= frames
    if is_counted and begins_recording(file.peek(8, after_tags)):
        notes.append(another_recording(after_tags))
    is_direct = is_only and len(stream.runs) == 1 and stream.is_at_start
    is_xing = stream.counter is not None and stream.counter.is_xing
    is_right = stream.header.layer != 3 or (is_xing and stated >= frames)
    return Stream(
        None if is_direct and is_right else _pieces(file, stream),
        states_length=stated > 0,
        notes=notes,
        damage="" if is_counted else _describe_unread(stream),
        gaps=tuple(_gaps(stream)),
    )


def _count_missing(stream: _MpegStream) -> None:
    """Set how many frames are missing after each run but the last, no more in all than the header states."""
    most = stream.stated - stream.frames if stream.stated else sys.maxsize
    mean = sum(run.end - run.start for run in stream.runs) / sum(run.frames for run in stream.runs)
    for run in stream.runs[:-1]:
        run.missing = max(0, min(most, round(run.lost / mean)))
        most -= run.missing


def _describe_unread(stream: _MpegStream) -> str:
    """A warning about bytes before the first frame and after the last that may have been sound."""
    lost, texts = stream.runs[-1].lost, []
    if stream.before:
        texts.append(f"its first {stream.before} bytes are not MPEG audio")
    if lost > _STRAY:
        texts.append(f"{lost} bytes after {stream.seconds(stream.frames):.2f} s are not MPEG audio")
    return ", ".join(texts)


def _gaps(stream: _MpegStream) -> Iterator[tuple[int, int]]:
    frames = -bool(stream.counter)
    for run in stream.runs:
        frames += run.frames
        if run.missing:
            yield frames * run.header.samples, run.missing * run.header.samples
        frames += run.missing


def _pieces(file: OpenFile, stream: _MpegStream) -> Iterator[bytes]:
    """The stream as one that states how many frames it has, with silent ones where some are missing."""
    first, is_layer_3 = stream.runs[0], stream.header.layer == 3
    frame = file.peek(first.header.length, first.start)
    if is_layer_3:
        yield with_frames(frame, max(stream.frames, stream.stated))
    is_after_damage = True  # for all one knows of what came before the file
    for run in stream.runs:
        start = run.start + (len(frame) if run is first and stream.counter else 0)
        muted = _mute_first_frames(file, start, run.end) if is_after_damage and is_layer_3 else []
        yield from muted
        yield from file.pieces(start + sum(map(len, muted)), run.end)
        yield from repeat(silent_frame(frame), run.missing)
        is_after_damage = run.lost > 0


def _mute_first_frames(file: OpenFile, start: int, end: int) -> list[bytes]:
    """The first frames, as far as they need bytes of lost ones, muted: other bytes become loud noise."""
    muted, all_held = list[bytes](), 0
    while start < end and (header := read_header(file.peek(4, start))):
        frame, needed, held = muted_frame(file.peek(header.length, start))
        if needed <= all_held:
            break
        muted.append(frame)
        start, all_held = start + header.length, all_held + held
    return muted
