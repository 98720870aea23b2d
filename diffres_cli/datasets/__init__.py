"""Labelled audio: which clips there are, how to get them, and their waveforms at memory speed.

    clip.py       the types: Clip, Dataset, Source, Archive
"""

from diffres_cli.datasets.clip import Archive, Clip, Dataset, Source

__all__ = ["Archive", "Clip", "Dataset", "Source"]
