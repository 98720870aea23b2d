"""Speech Commands, version 2: one second each of 35 English words, by 2618 speakers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.folders import files_in, find_dataset_folder, folders_in, is_audio, stem
from diffres_cli.datasets.lists import read_lines, relative
from diffres_cli.datasets.reader import ListedClip, build
from diffres_cli.errors import DataError

_LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
_WORDS_OF_VERSION_1 = 30


def read(root: Path) -> Dataset:
    """The dataset in a folder with a sub-folder per word, validation_list.txt and testing_list.txt.

    What neither list names is for training; _background_noise_ is none of the words. Version 1, with its 30
    words, is read as well. Classes are the words, sorted.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    home = find_dataset_folder(root, SOURCE, *_LISTS.values())
    held_out = [clip for split, name in _LISTS.items() for clip in _read_list(split, home / name)]
    names = {clip.name for clip in held_out}
    train = [clip for clip in _recorded(home) if clip.name not in names]
    return build(SOURCE, home, [*train, *held_out], allowed=[_WORDS_OF_VERSION_1])


def _read_list(split: str, path: Path) -> Iterator[ListedClip]:
    """The clip of each line, WORD/FILE.wav."""
    for place, text in read_lines(path):
        name = relative(text, place)
        word, slash, file = name.partition("/")
        if not slash or "/" in file:
            raise DataError(f"{place}: expected WORD/FILE.wav, found {text!r}")
        yield ListedClip(name, (word,), split, place)


def _recorded(home: Path) -> Iterator[ListedClip]:
    """What is there; the name is the official one, whatever the format it is kept in."""
    for word in folders_in(home):
        names = {f"{word}/{stem(file)}.wav" for file in files_in(home / word) if is_audio(file)}
        yield from (ListedClip(name, (word,), "train") for name in sorted(names))


SOURCE = Source(
    name="speechcommands",
    title="Speech Commands v0.02",
    citation=(
        "P. Warden. Speech Commands: A dataset for limited-vocabulary speech recognition. "
        "arXiv:1804.03209, 2018"
    ),
    licence="CC BY 4.0",
    home="https://arxiv.org/abs/1804.03209",
    splits={"train": 84843, "validation": 9981, "test": 11005},
    classes=35,
    seconds=1.0,
    read=read,
    # Size and SHA-256 as TensorFlow Datasets has them.
    archives=(
        Archive(
            url="https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            name="speech_commands_v0.02.tar.gz",
            size=2_428_923_189,
            checksum="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        ),
    ),
)
