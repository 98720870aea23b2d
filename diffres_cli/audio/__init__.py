"""Recordings in, float32 at a stated rate out, streamed in constant memory.

    sources.py    a path, standard input or bytes -> an open regular file
    decoder.py    what the three decoders below offer: blocks of samples
    sndfile.py    the formats libsndfile reads
    promise.py    how long a header says a recording is
    chunks.py     where the samples stand in WAV, AIFF, CAF and the like
    pcm.py        uncompressed samples from there
    repair.py     libsndfile, or one of these two where a header states too few samples
    part.py       one of the streams in a file, and the copy to read in its place
    tags.py       ID3 and the like, before and behind streams
    flac.py       the streams of a FLAC file, and where one resumes behind damage
    ogg.py        the streams of an Ogg file
    mpeg.py       what the header of an MPEG frame says
    mpegscan.py   the streams of an MP3 file, from frame to frame
    chain.py      several streams as one
    quiet.py      silence for a library that writes to standard error
    ffmpeg.py     everything else, through an ffmpeg on the PATH
    arrays.py     a NumPy array, or blocks of samples as they come
    scale.py      floats on the scale of integers
    mixdown.py    the mean of the channels, one of them or each; and whether the mean loses sound
    resample.py   blocks at one rate -> blocks at another
    recording.py  any of the above -> one `Recording`: what it is, its samples, what was odd about it
    windows.py    mono blocks -> an excerpt, overlapping windows
    find.py       what was typed -> the files to read

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
