"""The archives of every dataset that can be downloaded: the official layout, in small, with real audio."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import soundfile
from command import EXAMPLES

from diffres_cli.datasets import catalog
from diffres_cli.datasets.clip import Archive, Source

SOURCES = catalog.SOURCES  # the official ones
Tree = Mapping[str, bytes]
WORDS = [f"word{number:02}" for number in range(40)]
FAMILIES = (
    "bass",
    "brass",
    "flute",
    "guitar",
    "keyboard",
    "mallet",
    "organ",
    "reed",
    "string",
    "synth_lead",
    "vocal",
)


@lru_cache(maxsize=1)
def excerpts() -> list[bytes]:
    """WAV files of 50 ms, each another stretch of a real recording."""
    samples, rate = soundfile.read(EXAMPLES / "birdsong.flac", dtype="int16")
    length = rate // 20
    files = []
    for start in range(0, len(samples) - length, length):
        file = io.BytesIO()
        soundfile.write(file, samples[start : start + length], rate, format="WAV")
        files.append(file.getvalue())
    return files


def clips(names: Sequence[str]) -> Tree:
    """A file for each name."""
    files = excerpts()
    return {name: files[index % len(files)] for index, name in enumerate(names)}


def table(*rows: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def zipped(files: Tree) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            # Dated 1980: the same bytes in every process.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def tarred(files: Tree) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(file.getvalue(), mtime=0)  # the same bytes in every process


def split(data: bytes, count: int, *, zip64: bool = True) -> list[bytes]:
    """A zip archive in parts, as Info-ZIP's -s makes them: entries count from the start of their part.

    zip64: with the records an archive of over 4 GiB has, as FSD50K's.
    """
    end = data.rindex(b"PK\5\6")
    entries, length, directory = struct.unpack_from("<HII", data, end + 10)
    data = b"PK\7\x08" + data  # the mark of a split archive
    end, directory = end + 4, directory + 4
    size = -(-directory // count)  # the last part has the whole directory
    body = bytearray(data)
    place = directory
    for _ in range(entries):
        offset = struct.unpack_from("<I", data, place + 42)[0] + 4
        struct.pack_into("<H", body, place + 34, offset // size)
        struct.pack_into("<I", body, place + 42, offset % size)
        place += 46 + sum(struct.unpack_from("<HHH", data, place + 28))
    struct.pack_into("<HH", body, end + 4, count - 1, count - 1)
    struct.pack_into("<I", body, end + 16, directory - (count - 1) * size)
    if zip64:
        where, last = (directory - (count - 1) * size, count - 1)
        record = struct.pack(
            "<4sQHHIIQQQQ", b"PK\6\6", 44, 0x31E, 45, last, last, entries, entries, length, where
        )
        body[end:end] = record + struct.pack("<4sIQI", b"PK\6\7", last, where + length, count)
    starts = [part * size for part in range(count)]
    return [bytes(body[start:stop]) for start, stop in zip(starts, [*starts[1:], None], strict=True)]


def esc50() -> dict[str, bytes]:
    rows = [
        (f"{fold}-{target}-A-{target}.wav", fold, target, f"class {target}", target < 10)
        for fold in range(1, 6)
        for target in range(50)
    ]
    audio = clips([f"ESC-50-master/audio/{row[0]}" for row in rows])
    heads = ("filename", "fold", "target", "category", "esc10")
    files = {"ESC-50-master/meta/esc50.csv": table(heads, *rows), "ESC-50-master/LICENSE": b"CC BY-NC\n"}
    return {"ESC-50-master.zip": zipped({**files, **audio})}


def arabic() -> dict[str, bytes]:
    home = "arabic-speech-commands-dataset-master"
    files: dict[str, bytes] = {}
    for number, name in enumerate(("train.csv", "val.csv", "test.csv")):
        rows = [(f"dataset/{word}/{number:08}.wav", word) for word in WORDS]
        files |= {f"{home}/{name}": table(("file", "class"), *rows)}
        files |= clips([f"{home}/{path}" for path, _ in rows])
    return {"arabic-speech-commands-dataset-master.zip": zipped(files)}


def speechcommands() -> dict[str, bytes]:
    names = {number: [f"{word}/{number:08x}_nohash_0.wav" for word in WORDS[:35]] for number in range(4)}
    files = {
        "./README.md": b"# Speech Commands\n",
        "./validation_list.txt": "\n".join(names[0]).encode(),
        "./testing_list.txt": "\n".join(names[1]).encode(),
        **clips(["./_background_noise_/tap.wav"]),
        **clips([f"./{name}" for some in names.values() for name in some]),
    }
    return {"speech_commands_v0.02.tar.gz": tarred(files)}


def nsynth() -> dict[str, bytes]:
    archives = {}
    for part in ("train", "valid", "test"):
        notes = {f"{family}_{part}_{number:03}-060-100": family for number, family in enumerate(FAMILIES)}
        facts = {note: {"note_str": note, "instrument_family_str": family} for note, family in notes.items()}
        files = {f"nsynth-{part}/examples.json": json.dumps(facts).encode()}
        files |= clips([f"nsynth-{part}/audio/{note}.wav" for note in notes])
        archives[f"nsynth-{part}.jsonwav.tar.gz"] = tarred(files)
    return archives


def fsd50k() -> dict[str, bytes]:
    vocabulary = [(number, f"Sound_{number}", f"/m/{number:05}") for number in range(200)]
    dev = [
        (1000 + n, f"Sound_{n},Sound_{n + 1}", "/m/1", "val" if n % 5 == 0 else "train") for n in range(40)
    ]
    evaluation = [(9000 + n, f"Sound_{n}", "/m/1") for n in range(20)]
    truth = {
        "vocabulary.csv": table(*vocabulary),
        "dev.csv": table(("fname", "labels", "mids", "split"), *dev),
        "eval.csv": table(("fname", "labels", "mids"), *evaluation),
    }
    archives = {
        "FSD50K.ground_truth.zip": zipped(
            {f"FSD50K.ground_truth/{name}": data for name, data in truth.items()}
        )
    }
    for name, rows, count in (("dev_audio", dev, 6), ("eval_audio", evaluation, 2)):
        parts = split(zipped(clips([f"FSD50K.{name}/{row[0]}.wav" for row in rows])), count)
        archives |= {f"FSD50K.{name}.z{number:02}": part for number, part in enumerate(parts[:-1], 1)}
        archives[f"FSD50K.{name}.zip"] = parts[-1]
    return archives


DATASETS = {
    "esc50": (esc50, {f"fold{fold}": 50 for fold in range(1, 6)}),
    "arabic-speechcommands": (arabic, {"train": 40, "validation": 40, "test": 40}),
    "speechcommands": (speechcommands, {"train": 70, "validation": 35, "test": 35}),
    "nsynth": (nsynth, {"train": 11, "validation": 11, "test": 11}),
    "fsd50k": (fsd50k, {"train": 32, "validation": 8, "test": 20}),
}


def small(name: str, archives: Mapping[str, bytes] | None = None) -> tuple[Source, dict[str, bytes]]:
    """A dataset's source with the sizes and checksums of its small archives, and what a server has to have.

    Names and addresses stay the official ones.
    """
    build, splits = DATASETS[name]
    archives = build() if archives is None else archives
    source = SOURCES[name]
    assert sorted(archive.name for archive in source.archives) == sorted(archives)
    stated = tuple(_stated(archive, archives[archive.name]) for archive in source.archives)
    return replace(source, archives=stated, splits=splits), dict(served(source, archives))


def served(source: Source, archives: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Path on the server, and what is there."""
    for archive in source.archives:
        yield urlsplit(archive.url).path, archives[archive.name]


def _stated(archive: Archive, data: bytes) -> Archive:
    kind = archive.checksum.partition(":")[0]
    checksum = f"{kind}:{hashlib.new(kind, data).hexdigest()}" if kind else ""
    return replace(archive, size=len(data) if archive.size else 0, checksum=checksum)


def install() -> None:
    """Let this process know the small datasets by the official names."""
    catalog.SOURCES = {**SOURCES, **{name: small(name)[0] for name in DATASETS}}


def program(*arguments: str | Path, code: str = "") -> list[str]:
    """A command line for a process of its own that knows the small datasets."""
    tests = str(Path(__file__).parent)
    main = (
        f"import sys; sys.path.insert(0, {tests!r}); from data_archives import install; install()\n"
        f"{code}\nfrom diffres_cli.__main__ import main; main()"
    )
    return [sys.executable, "-c", main, *map(str, arguments)]
