"""Speech Commands, version 2: one second each of 35 English words, by 2618 speakers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from diffres_cli.datasets.build import Listed, build, check_count
from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.listing import Listing, files_in, find_home, folders_in, is_audio, relative, stem
from diffres_cli.datasets.lists import read_lines
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
    home = find_home(root, SOURCE, *_LISTS.values())
    listed = {split: dict(_read_list(home / name)) for split, name in _LISTS.items()}
    words = sorted({*_words(home), *(word for names in listed.values() for word in names.values())})
    check_count(SOURCE, home, words, _WORDS_OF_VERSION_1)
    clips = _listed(listed, dict(_recorded(home, words)), {word: place for place, word in enumerate(words)})
    return build(SOURCE, home, words, clips, Listing(home).find)


def _read_list(path: Path) -> Iterator[tuple[str, str]]:
    """(name, word) of each line, WORD/FILE.wav."""
    for line, text in read_lines(path):
        name = relative(text, path, line)
        word, slash, file = name.partition("/")
        if not slash or "/" in file:
            raise DataError(f"{path}, line {line}: expected WORD/FILE.wav, found {text!r}")
        yield name, word


def _words(home: Path) -> list[str]:
    return [folder for folder in folders_in(home) if any(map(is_audio, files_in(home / folder)))]


def _recorded(home: Path, words: list[str]) -> Iterator[tuple[str, str]]:
    """(name, word) of what is there; the name is the official one, whatever the format it is kept in."""
    for word in words:
        names = {f"{word}/{stem(file)}.wav" for file in files_in(home / word) if is_audio(file)}
        yield from ((name, word) for name in sorted(names))


def _listed(
    lists: Mapping[str, Mapping[str, str]], recorded: Mapping[str, str], places: Mapping[str, int]
) -> Iterator[Listed]:
    held_out = {name for names in lists.values() for name in names}
    rest = {name: word for name, word in recorded.items() if name not in held_out}
    for split, names in {"train": rest, **lists}.items():
        yield from (Listed(name, (places[word],), split) for name, word in names.items())


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
    multi_label=False,
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
