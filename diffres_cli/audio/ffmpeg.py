"""Everything libsndfile does not know (M4A, video), decoded by an ffmpeg found on the PATH."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections import deque
from typing import IO

import numpy as np

from diffres_cli.audio.decoder import Samples
from diffres_cli.audio.sources import OpenFile, printable
from diffres_cli.errors import AudioError

_AU_HEADER = 24  # bytes: magic, data offset, data size, encoding, rate, channels, big-endian uint32 each
_ORIGIN = re.compile(r"^(\[[^]]*\] ?)+")


def find_ffmpeg() -> str | None:
    """The ffmpeg on the PATH, None where there is none."""
    return shutil.which("ffmpeg")


class FfmpegDecoder:
    """A `Decoder` on a child process that writes AU, float32, to a pipe; AU states rate and channels.

    Raises:
        AudioError: ffmpeg cannot be started or finds no sound; the message ends with ffmpeg's own.
    """

    frames: int | None = None  # AU written to a pipe makes no promise

    def __init__(self, file: OpenFile, program: str) -> None:
        self.complaint = ""
        self._name = file.name
        self._child = _start(program, file)
        self._last_words: deque[str] = deque(maxlen=1)
        # Drained in a thread of its own: a full stderr pipe would stop ffmpeg, and us with it.
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self.sample_rate, self.channels = self._read_header()
        except BaseException:
            self.close()
            raise

    @property
    def _output(self) -> IO[bytes]:
        assert self._child.stdout is not None
        return self._child.stdout

    def _listen(self) -> None:
        assert self._child.stderr is not None
        for line in self._child.stderr:
            text = _ORIGIN.sub("", line.decode("utf-8", "surrogateescape").strip())
            if text:
                self._last_words.append(printable(text))

    def _read_header(self) -> tuple[int, int]:
        header = self._output.read(_AU_HEADER)
        if len(header) < _AU_HEADER:
            reason = self._farewell() or "it gave no reason"
            raise AudioError(f"{printable(self._name)}: ffmpeg finds no sound in it ({reason})")
        _, offset, _, _, rate, channels = (int(n) for n in np.frombuffer(header, ">u4"))
        self._output.read(offset - _AU_HEADER)
        return rate, channels

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`."""
        data = self._output.read(frames * self.channels * 4)
        whole = len(data) // (self.channels * 4)
        if not whole:
            self.complaint = self._farewell()
        samples = np.frombuffer(data, ">f4", count=whole * self.channels)
        return samples.astype(np.float32).reshape(whole, self.channels)

    def _farewell(self) -> str:
        """Wait for ffmpeg to end; its last line, "" when it had nothing to report."""
        code = self._child.wait()
        self._listener.join()
        if self._last_words:
            return self._last_words[-1]
        return f"ffmpeg ended with code {code}" if code else ""

    def close(self) -> None:
        """End ffmpeg, finished or not, and reap it."""
        self._child.kill()
        self._child.wait()
        self._listener.join()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()


def _start(program: str, file: OpenFile) -> subprocess.Popen[bytes]:
    """Run ffmpeg on a local file: the whitelist keeps a crafted playlist off the network."""
    options = ["-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe"]
    output = ["-vn", "-sn", "-dn", "-map_metadata", "-1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    try:
        return subprocess.Popen(
            [program, *options, "-i", file.url, *output],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(file.stream.fileno(),),
        )
    except OSError as error:
        reason = f"{program} cannot be started ({error.strerror})"
        raise AudioError(f"{printable(file.name)}: {reason}") from error
