"""FSD50K: 51,197 Freesound clips of 0.3 to 30 s with 200 classes of AudioSet's ontology."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.folders import find_dataset_folder
from diffres_cli.datasets.lists import read_columns, read_rows, relative
from diffres_cli.datasets.reader import ListedClip, build, numbered_classes
from diffres_cli.errors import DataError

_TRUTH = "FSD50K.ground_truth"
_VOCABULARY, _DEV, _EVAL = (f"{_TRUTH}/{name}.csv" for name in ("vocabulary", "dev", "eval"))
_DEV_AUDIO, _EVAL_AUDIO = "FSD50K.dev_audio", "FSD50K.eval_audio"
_SPLITS = {"train": "train", "val": "validation"}


def read(root: Path) -> Dataset:
    """The dataset in a folder with FSD50K.ground_truth, FSD50K.dev_audio and FSD50K.eval_audio.

    Classes are vocabulary.csv's, in its order.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    home = find_dataset_folder(root, SOURCE, _VOCABULARY, _DEV, _EVAL)
    classes = numbered_classes(home / _VOCABULARY, read_rows(home / _VOCABULARY))
    return build(SOURCE, home, _listed(home), classes)


def _listed(home: Path) -> Iterator[ListedClip]:
    for place, (file, labels, split) in read_columns(home / _DEV, "fname", "labels", "split"):
        if split not in _SPLITS:
            raise DataError(f"{place}: expected the split train or val, found {split!r}")
        name = relative(f"{_DEV_AUDIO}/{file}.wav", place)
        yield ListedClip(name, tuple(labels.split(",")), _SPLITS[split], place)
    for place, (file, labels) in read_columns(home / _EVAL, "fname", "labels"):
        name = relative(f"{_EVAL_AUDIO}/{file}.wav", place)
        yield ListedClip(name, tuple(labels.split(",")), "test", place)


_RECORD = "https://zenodo.org/records/4060432"
_PART = 3 << 30  # bytes: all parts of an archive but its last


def _archive(name: str, size: int, md5: str, part_of: str = "") -> Archive:
    return Archive(f"{_RECORD}/files/FSD50K.{name}?download=1", f"FSD50K.{name}", size, f"md5:{md5}", part_of)


def _part(name: str, md5: str) -> Archive:
    return _archive(name, _PART, md5, part_of=f"FSD50K.{name.partition('.')[0]}.zip")


SOURCE = Source(
    name="fsd50k",
    title="FSD50K",
    citation=(
        "E. Fonseca, X. Favory, J. Pons, F. Font, X. Serra. FSD50K: An open dataset of human-labeled sound "
        "events. IEEE/ACM Transactions on Audio, Speech, and Language Processing 30, 2022"
    ),
    licence="CC BY 4.0; each clip CC0, CC BY, CC BY-NC or CC Sampling+",
    home=_RECORD,
    splits={"train": 36_796, "validation": 4_170, "test": 10_231},
    classes=200,
    multi_label=True,
    seconds=30.0,
    read=read,
    # Sizes and MD5 of the Zenodo record, as soundata and other loaders have them.
    archives=(
        _archive("ground_truth.zip", 334_701, "ca27382c195e37d2269c4c866dd73485"),
        _part("dev_audio.z01", "faa7cf4cc076fc34a44a479a5ed862a3"),
        _part("dev_audio.z02", "8f9b66153e68571164fb1315d00bc7bc"),
        _part("dev_audio.z03", "1196ef47d267a993d30fa98af54b7159"),
        _part("dev_audio.z04", "d088ac4e11ba53daf9f7574c11cccac9"),
        _part("dev_audio.z05", "81356521aa159accd3c35de22da28c7f"),
        _archive("dev_audio.zip", 2_306_663_327, "c480d119b8f7a7e32fdb58f3ea4d6c5a"),
        _part("eval_audio.z01", "3090670eaeecc013ca1ff84fe4442aeb"),
        _archive("eval_audio.zip", 3_037_675_767, "6fa47636c3a3ad5c7dfeba99f2637982"),
    ),
)
