"""Recordings in, float32 at a stated rate out, streamed in constant memory.

    find.py       what was typed -> the files to read
    sources.py    a path, standard input or bytes -> an open regular file
    decoder.py    the interface of the decoders below: blocks of samples
    chain.py      a file libsndfile knows -> one decoder, which reads the streams in it one after another
    stream.py     one such stream, and the repaired copy to read in its place
    tags.py       ID3, APE and Lyrics3 tags around streams
    flac.py       the streams of a FLAC file, and where it resumes behind damage
    ogg.py        the streams of an Ogg file
    mpeg.py       the streams of an MP3 file
    mpegframe.py  MPEG frames: their headers read, silent ones made
    sndfile.py    a decoder: libsndfile
    repair.py     libsndfile for WAV and its relatives, also where a header states too few samples
    chunks.py     where the samples stand in those
    pcm.py        a decoder: uncompressed samples from there
    quiet.py      standard error closed to a library that writes to it
    ffmpeg.py     a decoder: everything else, by an ffmpeg on the PATH
    arrays.py     decoders: a NumPy array, or blocks of samples as they come
    scale.py      floats on the scale of integers brought to a full scale of 1
    mixdown.py    channels -> their mean, one of them, or each; and whether the mean loses sound
    resample.py   blocks at one rate -> blocks at another
    recording.py  all of it: open_recording -> Recording
    windows.py    blocks -> an excerpt, overlapping windows

Importing this package loads NumPy only; libsndfile and soxr come in when a file needs them.
"""

from diffres_cli.audio.find import MEDIA_EXTENSIONS, find_files, find_recordings, paths_from
from diffres_cli.audio.mixdown import Channel
from diffres_cli.audio.recording import Recording, Source, open_blocks, open_recording
from diffres_cli.audio.windows import excerpt, windows
from diffres_cli.text import printable

__all__ = [
    "MEDIA_EXTENSIONS",
    "Channel",
    "Recording",
    "Source",
    "excerpt",
    "find_files",
    "find_recordings",
    "open_blocks",
    "open_recording",
    "paths_from",
    "printable",
    "windows",
]
