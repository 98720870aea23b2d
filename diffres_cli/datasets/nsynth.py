"""NSynth: 305,979 notes of 4 s by 1006 instruments of 11 families, at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.folders import find_dataset_folder
from diffres_cli.datasets.lists import relative
from diffres_cli.datasets.reader import ClassList, ListedClip, build
from diffres_cli.errors import DataError
from diffres_cli.files import read_json

_FOLDERS = {"train": "nsynth-train", "validation": "nsynth-valid", "test": "nsynth-test"}
# By their number in examples.json; no file of the release lists them, and only the first split has all.
_FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead",
    "vocal",
)  # fmt: skip


def read(root: Path) -> Dataset:
    """The dataset in a folder with nsynth-train, nsynth-valid, nsynth-test, or those of them that are there.

    Each has audio/ and examples.json. Classes are the instrument families, in the order of their numbers.

    Raises:
        DataError: none of them is there, or one is not what it should be.
    """
    lists = {split: f"{folder}/examples.json" for split, folder in _FOLDERS.items()}
    home = find_dataset_folder(root, SOURCE, one_of=list(lists.values()))
    present = {split: home / name for split, name in lists.items() if (home / name).parent.is_dir()}
    listed = (clip for split, path in present.items() for clip in _listed(split, path))
    return build(SOURCE, home, listed, ClassList(home, _FAMILIES))


def _listed(split: str, path: Path) -> Iterator[ListedClip]:
    for note, facts in read_json(path, DataError).items():
        place = f"{path}, note {note!r}"
        name = relative(f"{path.parent.name}/audio/{note}.wav", place)
        try:
            family = str(facts["instrument_family_str"])
        except (KeyError, TypeError):
            raise DataError(f"{place}: it has no instrument_family_str") from None
        yield ListedClip(name, (family,), split, place)


def _archive(part: str, size: int, md5: str) -> Archive:
    name = f"nsynth-{part}.jsonwav.tar.gz"
    url = f"https://storage.googleapis.com/download.magenta.tensorflow.org/datasets/nsynth/{name}"
    return Archive(url, name, size, f"md5:{md5}")


SOURCE = Source(
    name="nsynth",
    title="NSynth",
    citation=(
        "J. Engel, C. Resnick, A. Roberts, S. Dieleman, D. Eck, K. Simonyan, M. Norouzi. "
        "Neural audio synthesis of musical notes with WaveNet autoencoders. ICML 2017"
    ),
    licence="CC BY 4.0",
    home="https://magenta.tensorflow.org/datasets/nsynth",
    splits={"train": 289_205, "validation": 12_678, "test": 4_096},
    classes=len(_FAMILIES),
    seconds=4.0,
    read=read,
    # MD5 as the HEAR benchmark and its storage bucket record them; sizes as the server states them.
    archives=(
        _archive("train", 23_815_298_079, "fde6665a93865503ba598b9fac388660"),
        _archive("valid", 1_068_767_009, "87e94a00a19b6dbc99cf6d4c0c0cae87"),
        _archive("test", 349_501_546, "5e6f8719bf7e16ad0a00d518b78af77d"),
    ),
)
