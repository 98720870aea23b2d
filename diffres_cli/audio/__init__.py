"""Recordings in, float32 at a stated rate out, streamed in constant memory.

    find.py       what was typed -> the files to read
    sources.py    a path, standard input, bytes or a stream -> an open regular file
    decoder.py    the interface of the decoders below: blocks of samples; and one stream in a file
    tags.py       data around the streams: ID3, APE and Lyrics3 tags, other recordings
    flac.py       the streams of a FLAC file, and where it resumes after damage
    ogg.py        the streams of an Ogg file
    mpegframe.py  MPEG frames: their headers read, silent ones made
    mpeg.py       the streams of an MP3 file
    chunks.py     where the samples are in WAV and similar formats
    sndfile.py    a decoder: one stream, by libsndfile
    pcm.py        a decoder: uncompressed samples of WAV and similar formats
    resample.py   blocks at one rate -> blocks at another
    streams.py    a decoder: the streams in a file, one after another
    ffmpeg.py     a decoder: everything else, by an ffmpeg on the PATH
    arrays.py     a decoder: NumPy arrays, one or many as they come
    scale.py      floats on the scale of integers brought to a full scale of 1
    mixdown.py    channels -> their mean, one of them, or each; and whether the mean loses sound
    recording.py  all of it: open_recording -> Recording
    windows.py    blocks -> an excerpt, overlapping windows

Importing this package loads NumPy only; libsndfile and soxr come in when a file needs them.
"""

from diffres_cli.audio.find import MEDIA_EXTENSIONS, find_files, paths_from
from diffres_cli.audio.mixdown import Channel
from diffres_cli.audio.recording import Recording, Source, import_decoders, open_blocks, open_recording
from diffres_cli.audio.windows import excerpt, windows
from diffres_cli.text import printable

__all__ = [
    "MEDIA_EXTENSIONS",
    "Channel",
    "Recording",
    "Source",
    "excerpt",
    "find_files",
    "import_decoders",
    "open_blocks",
    "open_recording",
    "paths_from",
    "printable",
    "windows",
]
