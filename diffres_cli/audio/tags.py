"""Data around the streams of a file: tags (ID3, APE, Lyrics3), other recordings."""

from __future__ import annotations

from diffres_cli.audio.sources import OpenFile

W64_RIFF = bytes.fromhex("726966662e91cf11")
_BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"caff", b".snd", b"fLaC", b"OggS", W64_RIFF)
_APE_SIZE, _ID3_SIZE, _ID3_END, _MAX_LYRICS = 32, 10, 128, 2**16


def begins_recording(head: bytes) -> bool:
    """Whether bytes begin with the signature of an audio format. MPEG has no reliable one."""
    return head.startswith(_BEGINNINGS) or head[4:8] == b"ftyp"


def another_recording(place: int) -> str:
    """A warning about a recording that begins at byte `place`, after the one that is read."""
    return f"another recording begins {place} bytes into the file, which is not read"


def skip_tags(file: OpenFile, start: int = 0) -> int:
    """The first byte from `start` on that belongs to no tag; `start` itself where there is none."""
    while size := _tag_size(file, start):
        start += size
    return start


def skip_id3(file: OpenFile) -> int:
    """The first byte of a file after its leading ID3v2 tags."""
    start = 0
    while size := _id3_size(file.peek(_ID3_SIZE, start)):
        start += size
    return start


def end_before_tags(file: OpenFile) -> int:
    """The end of the data before the tags at the end of a file; its size where there are none."""
    end = file.size
    while 0 < (size := _size_of_last_tag(file, end)) <= end:
        end -= size
    return end


def _size_of_last_tag(file: OpenFile, end: int) -> int:
    if file.peek(3, max(0, end - _ID3_END)) == b"TAG":
        return _ID3_END
    foot = file.peek(_APE_SIZE, max(0, end - _APE_SIZE))
    if foot.startswith(b"APETAGEX"):
        has_header = foot[23] & 0x80
        return int.from_bytes(foot[12:16], "little") + (_APE_SIZE if has_header else 0)
    if foot.endswith(b"LYRICS200") and foot[-15:-9].isdigit():
        return int(foot[-15:-9]) + 15
    return 0


def _tag_size(file: OpenFile, start: int) -> int:
    head = file.peek(_APE_SIZE, start)
    if head.startswith(b"TAG"):
        return _ID3_END
    if head.startswith(b"APETAGEX") and len(head) == _APE_SIZE:
        is_header = head[23] & 0x20  # else the footer; the size includes this, and not the header
        return _APE_SIZE + int.from_bytes(head[12:16], "little") if is_header else _APE_SIZE
    if head.startswith(b"LYRICSBEGIN"):
        lyrics = file.peek(_MAX_LYRICS, start)
        ends = [lyrics.find(mark) for mark in (b"LYRICS200", b"LYRICSEND")]
        return min((end + 9 for end in ends if end >= 0), default=0)
    return _id3_size(head)


def _id3_size(head: bytes) -> int:
    if not head.startswith(b"ID3") or len(head) < _ID3_SIZE:
        return 0
    has_footer = head[5] >> 4 & 1 if head[3] == 4 else 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # seven bits a byte
    return _ID3_SIZE * (1 + has_footer) + size
