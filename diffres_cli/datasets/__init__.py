"""Labelled audio: which clips there are, how to get them, and their waveforms at memory speed.

    clip.py       the types: Clip, Dataset, Source, Archive
    folders.py    where datasets lie on this machine, and which files are there, with any audio extension
    lists.py      official lists: CSV and text, row by row
    reader.py     listed clips -> a Dataset: clips with a file, names without; what readers share
    cliptable.py  a user's own table of clips and labels, CSV or Parquet
    audioset.py, fsd50k.py, esc50.py, urbansound8k.py, speechcommands.py, nsynth.py, arabic.py, folder.py
                  one dataset each: its facts, and the reader of its official layout
    check.py      clips that are missing, damaged, or cannot be decoded
    waveforms/    clips decoded once, read at memory speed: build_cache, WaveformCache
    download/     archives fetched, verified and unpacked
    catalog.py    the registry: by name, or package.module:NAME; load_dataset

Nothing here imports torch.
"""

from diffres_cli.datasets.catalog import SOURCES, find_source, load_dataset
from diffres_cli.datasets.clip import Archive, Clip, Dataset, Source
from diffres_cli.datasets.folders import cache_folder, data_folder, data_home

__all__ = [
    "SOURCES",
    "Archive",
    "Clip",
    "Dataset",
    "Source",
    "cache_folder",
    "data_folder",
    "data_home",
    "find_source",
    "load_dataset",
]
