"""Datasets in their official layouts, small: the real lists' form, real audio from examples/."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import soundfile

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
EXAMPLES = ROOT / "examples"
AUDIOSET_LABELS = (
    ROOT / "checkpoints" / "audioset-small" / "labels.csv"
)  # class_labels_indices.csv as released

ESC50_HEADER = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
FAMILIES = ("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string")
FAMILIES += ("synth_lead", "vocal")


@lru_cache
def _recording(suffix: str) -> bytes:
    samples, rate = soundfile.read(EXAMPLES / "rain.ogg", frames=2000)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=suffix[1:].upper())
    return file.getvalue()


def sound(path: Path) -> Path:
    """A short real recording, in the format its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_recording(path.suffix))
    return path


def table(path: Path, rows: Iterable[Sequence[object]], *, bom: bool = False, newline: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        csv.writer(file, lineterminator=newline).writerows(rows)
    return path


def audioset(root: Path, **segments: Sequence[tuple[str, str]]) -> Path:
    """Segment lists as released, of (id, labels): balanced_train=..., unbalanced_train=..., eval=..."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(AUDIOSET_LABELS, root / "class_labels_indices.csv")
    for name, rows in segments.items():
        lines = ["# Segments csv created Sun Mar  5 10:54:31 2017", f"# num_ytids={len(rows)}"]
        lines += ["# YTID, start_seconds, end_seconds, positive_labels"]
        lines += [f'{clip}, 30.000, 40.000, "{labels}"' for clip, labels in rows]
        (root / f"{name}_segments.csv").write_text("\n".join(lines) + "\n")
    return root


def audioset_clips(root: Path) -> Path:
    """Six clips: three to train on in the balanced set, two in the other, one to test with."""
    ids = [f"{number:011}" for number in range(6)]
    for clip in ids:
        sound(root / "audio" / f"Y{clip}.flac")
    rows = [(clip, "/m/09x0r,/m/04rlf" if i % 2 else "/m/09x0r") for i, clip in enumerate(ids)]
    return audioset(root, balanced_train=rows[:3], unbalanced_train=rows[3:5], eval=rows[5:])


def fsd50k(root: Path, suffix: str = ".wav") -> Path:
    """Two clips for training, one for validation, one for test; label 199 is Zipper_(clothing)."""
    names = [f"Sound_{place}" for place in range(199)] + ["Zipper_(clothing)"]
    truth = root / "FSD50K.ground_truth"
    table(truth / "vocabulary.csv", [(place, name, f"/m/{place:03}") for place, name in enumerate(names)])
    dev = [("fname", "labels", "mids", "split"), ("64760", "Sound_1,Sound_0", "/m/001,/m/000", "train")]
    dev += [("16399", "Zipper_(clothing)", "/m/199", "val"), ("16401", "Sound_7", "/m/007", "train")]
    table(truth / "dev.csv", dev)
    table(truth / "eval.csv", [("fname", "labels", "mids"), ("37199", "Sound_3,Sound_2", "/m/003,/m/002")])
    for name in ("64760", "16399", "16401"):
        sound(root / "FSD50K.dev_audio" / f"{name}{suffix}")
    sound(root / "FSD50K.eval_audio" / f"37199{suffix}")
    return root


def esc50_rows() -> list[tuple[object, ...]]:
    """Two clips of each of 50 classes, in the folds 1 to 5 by turns; classes 0, 5, 10, ... are ESC-10."""
    rows: list[tuple[object, ...]] = []
    for take in (100, 200):
        for target in range(50):
            fold, esc10 = 1 + target % 5, target % 5 == 0
            rows.append((f"{fold}-{take}-A-{target}.wav", fold, target, f"class {target}", esc10, take, "A"))
    return rows


def esc50(root: Path, rows: Sequence[Sequence[object]] | None = None) -> Path:
    rows = esc50_rows() if rows is None else rows
    table(root / "meta" / "esc50.csv", [ESC50_HEADER, *rows])
    for row in rows:
        sound(root / "audio" / str(row[0]))
    return root


def urbansound8k(root: Path) -> Path:
    """One clip of each of 10 classes in each of the folds 10 to 1, listed in that order."""
    header = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
    rows = [
        (f"{100 + fold}-{label}-0-{fold}.wav", 100 + fold, 0.5, 4.5, 1, fold, label, f"class {label}")
        for fold in range(10, 0, -1)
        for label in range(10)
    ]
    table(root / "metadata" / "UrbanSound8K.csv", [header, *rows])
    for row in rows:
        sound(root / "audio" / f"fold{row[5]}" / str(row[0]))
    return root


def speech_commands(root: Path, words: int = 35) -> Path:
    """Each word three times: for training, validation, test."""
    names = [f"word{place:02}" for place in range(words)]
    for word in names:
        for speaker in ("0a7c2a8d", "1b4c9b89", "2aca1e72"):
            sound(root / word / f"{speaker}_nohash_0.wav")
    sound(root / "_background_noise_" / "running_tap.wav")
    (root / "validation_list.txt").write_text("".join(f"{word}/1b4c9b89_nohash_0.wav\n" for word in names))
    (root / "testing_list.txt").write_text("".join(f"{word}/2aca1e72_nohash_0.wav\n" for word in names))
    return root


def nsynth(root: Path, parts: Sequence[str] = ("train", "valid", "test")) -> Path:
    """In each part, one note of each family."""
    for part in parts:
        notes = {f"{family}_acoustic_{part}-060-100": family for family in FAMILIES}
        examples = {
            note: {
                "note_str": note,
                "instrument_family": FAMILIES.index(family),
                "instrument_family_str": family,
            }
            for note, family in sorted(notes.items(), reverse=True)
        }
        for note in notes:
            sound(root / f"nsynth-{part}" / "audio" / f"{note}.wav")
        (root / f"nsynth-{part}" / "examples.json").write_text(json.dumps(examples))
    return root


def arabic(root: Path) -> Path:
    """One clip of each of 40 words in each split."""
    words = [f"word {place:02}" for place in range(40)]
    for split in ("train", "val", "test"):
        rows = [(f"dataset/{word}/{split}_NO_01.wav", word) for word in words]
        table(root / f"{split}.csv", [("file", "class"), *rows])
        for file, _ in rows:
            sound(root / file)
    return root
