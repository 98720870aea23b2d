"""Everything libsndfile does not know (M4A, video), decoded by an ffmpeg found on the PATH."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from typing import IO

import numpy as np

from diffres_cli.audio.decoder import Decoder, Samples
from diffres_cli.audio.sources import OpenFile, unreadable
from diffres_cli.audio.tags import another_recording
from diffres_cli.errors import AudioError
from diffres_cli.text import printable
from diffres_cli.timeouts import on_cancel

# Recordings only: ffmpeg also opens playlists and scripts, which name other files and addresses
# (a crafted one even keeps it waiting for ever), and pictures and text.
_FORMATS = (
    "aa,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,dtshd,dv,eac3,flac,flv,gsm,iff,ircam,loas,matroska,mlp,"
    "mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,ogg,oma,qcp,rm,shn,sox,tak,truehd,tta,voc,w64,wav,webm,wtv,wv,xwma"
)
_LOG_OPTIONS = ["-nostdin", "-hide_banner", "-loglevel", "error"]
_INPUT_OPTIONS = ["-protocol_whitelist", "file", "-format_whitelist", _FORMATS]
_OUTPUT_OPTIONS = ["-vn", "-sn", "-dn", "-map_metadata", "-1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
_SIGNATURE_BYTES = 12  # at the beginning of a file that tell it from others
_ONE_FILE = (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"TTA1")
_AU_HEADER = 24  # bytes: magic, data offset, data size, encoding, rate, channels; uint32, big-endian
_PREFIX = re.compile(r"^(\[[^]]*\] ?)*(Error opening input: )?")
# Packets of a sound recording may state the same time, as short Vorbis blocks in Matroska. AU has no times.
_HARMLESS = re.compile(r"non monotonically increasing dts to muxer|^Last message repeated")
# How a drive or share fails; no format's reader in ffmpeg gives these for a file that is cut short.
_MEDIUM = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)
# Sent from outside, as by a system that is short of memory. A crash, of a damaged file, has other numbers.
_STOPPED = (1, 2, 9, 15)  # SIGHUP, SIGINT, SIGKILL, SIGTERM


class FfmpegDecoder(Decoder):
    """A child process that writes AU, float32, to a pipe; AU states rate and channels, and here no length.

    Raises:
        AudioError: ffmpeg cannot be started or finds no sound; the message ends with ffmpeg's own. Or the
            system cannot read the file; so does `blocks`.
    """

    def __init__(self, file: OpenFile, program: str) -> None:
        self._file, self._name = file, printable(file.name)
        self._message = ""
        self._failed: int | None = None  # the system's error number, where it could not read the file
        self._child = _start(program, file)
        on_cancel("ffmpeg", self._child.kill)
        # Read in a thread: at a full pipe ffmpeg would block, and this process with it.
        self._error_reader = threading.Thread(target=self._read_errors, daemon=True)
        self._error_reader.start()
        try:
            self.sample_rate, self.channels = self._read_header()
        except BaseException:
            self.close()
            raise

    @property
    def _output(self) -> IO[bytes]:
        assert self._child.stdout is not None
        return self._child.stdout

    def _read_errors(self) -> None:
        """Keep ffmpeg's first line: it names the cause, the later ones what came of it."""
        assert self._child.stderr is not None
        for line in self._child.stderr:
            words = _PREFIX.sub("", line.decode("utf-8", "surrogateescape").strip())
            if _HARMLESS.search(words):
                continue
            self._failed = self._failed or next((n for n in _MEDIUM if os.strerror(n) in words), None)
            if "not on whitelist" in words:
                words = "not a format for recordings"
            self._message = self._message or printable(words[:200])

    def _read_header(self) -> tuple[int, int]:
        header = self._output.read(_AU_HEADER)
        if len(header) < _AU_HEADER:
            reason = self._wait() or "no reason given"
            raise AudioError(f"{self._name}: neither libsndfile nor ffmpeg finds sound in it ({reason})")
        _, offset, _, _, rate, channels = np.frombuffer(header, ">u4").tolist()
        if not channels:
            raise AudioError(f"{self._name}: ffmpeg finds sound of 0 channels in it")
        self._output.read(max(0, offset - _AU_HEADER))
        return rate, channels

    def blocks(self, frames: int) -> Iterator[Samples]:
        """See `Decoder.blocks`."""
        width = self.channels * 4
        while len(data := self._output.read(frames * width)) >= width:
            samples = np.frombuffer(data, ">f4", count=len(data) // width * self.channels)
            yield samples.astype(np.float32).reshape(-1, self.channels)
        self.damage = self._wait() or _find_following(self._file)

    def _wait(self) -> str:
        """Wait for ffmpeg to exit and return its error message, "" for none."""
        code = self._child.wait()
        self._error_reader.join()
        if self._failed is not None:
            error = OSError(self._failed, os.strerror(self._failed))
            raise unreadable(self._file.name, error) from error
        if -code in _STOPPED:
            reason = f"ffmpeg was stopped by signal {-code} before it was done; try again"
            raise AudioError(f"{self._name}: {reason}") from InterruptedError(errno.EINTR, reason)
        return self._message or (f"ffmpeg ended with code {code}" if code else "")

    def close(self) -> None:
        """End ffmpeg, whether it is done or not, and reap it."""
        self._child.kill()
        self._child.wait()
        self._error_reader.join()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()


def _find_following(file: OpenFile) -> str:
    """A warning about a second recording in a format of which ffmpeg reads only one (MP4, ASF, TTA)."""
    head = file.peek(_SIGNATURE_BYTES)
    if not (head[4:8] == b"ftyp" or head.startswith(_ONE_FILE)):
        return ""
    place = next(file.find(head, _SIGNATURE_BYTES), None)
    return "" if place is None else another_recording(place)


def _start(program: str, file: OpenFile) -> subprocess.Popen[bytes]:
    file.stream.seek(0)  # where /dev/fd shares the position (macOS), ffmpeg begins at ours
    try:
        return subprocess.Popen(
            [program, *_LOG_OPTIONS, *_INPUT_OPTIONS, "-i", file.url, *_OUTPUT_OPTIONS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What was spooled has no name, only this descriptor. (Windows cannot pass it on.)
            pass_fds=() if os.name == "nt" else (file.stream.fileno(),),
        )
    except OSError as error:
        reason = f"{program} cannot be started ({error.strerror})"
        raise AudioError(f"{printable(file.name)}: {reason}") from error
