"""Collect open audio, and what the original tagger hears in it, for `diffres train --soft-labels OUT`.

    python scripts/collect_audio.py OUT NAME=SOURCE ...

NAME is a table of audio_sources.toml, which has its origin, commit and licence. SOURCE is where it lies: a
git directory (read at that commit) or a folder. Writes OUT/NAME.flac, .npz and .md; their form is that of
diffres_cli.training.softlabels. Segments are 10 s at most; those without sound, and those already taken in
this run, are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from build_conditioned import SHARED, unadapted
from build_conditioned import card as conditioned_card
from numpy.typing import NDArray
from safetensors.torch import load_file

from diffres_cli.files import parse_toml
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.training.softlabels import SAMPLE_RATE

RATE = 2 * SAMPLE_RATE
SECONDS, SHORTEST, MOST_OF_A_FILE, QUIETEST = 10, 0.5, 600, 1e-3
PADDED = [SAMPLE_RATE * tenths // 10 for tenths in (10, 25, 50, 100)]
BATCH = 8
AUDIO = (".wav", ".ogg", ".oga", ".flac", ".mp3", ".opus", ".aif", ".aiff", ".au")
SOURCES = Path(__file__).with_name("audio_sources.toml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", nargs="+", metavar="NAME=SOURCE")
    parser.add_argument("--original", type=Path, default=SHARED / "mn04-original")
    options = parser.parse_args()
    known = parse_toml(SOURCES.read_text("utf-8"))
    torch.set_num_threads(1)
    original = unadapted(conditioned_card(), load_file(options.original / "weights.safetensors"))
    options.out.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    for name, _, place in (source.partition("=") for source in options.sources):
        if name not in known or not Path(place).is_dir():
            raise SystemExit(f"{name}={place}: expected NAME=FOLDER with a NAME of {SOURCES.name}")
        kept = collect(Path(place), known[name], seen)
        if kept:
            write(options.out, name, known[name], kept, probabilities(original, kept))


def collect(place: Path, source: dict[str, Any], seen: set[bytes]) -> list[NDArray[np.int16]]:
    """Segments of a source, from its files in a random order, until there are `most_hours` of them."""
    only = re.compile(source.get("only", ""))
    names, read = open_source(place, source["commit"])
    names = sorted(name for name in names if name.lower().endswith(AUDIO) and only.search(name))
    kept: list[NDArray[np.int16]] = []
    left = source.get("most_hours", 2) * 3600 * RATE
    for index in np.random.default_rng(0).permutation(len(names)):
        for part in segments(read(names[index])) if left > 0 else ():
            key = hashlib.sha256(part.tobytes()).digest()
            if key not in seen:
                seen.add(key)
                kept.append(part)
                left -= len(part)
    return kept


def open_source(place: Path, commit: str) -> tuple[list[str], Callable[[str], bytes]]:
    """The names of its files, and how to read one: of a commit, or of a folder."""
    if not (place / "HEAD").exists():
        files = [str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()]
        return files, lambda name: (place / name).read_bytes()
    git = ["git", "--git-dir", str(place)]
    listed = subprocess.run([*git, "ls-tree", "-rz", "--name-only", commit], check=True, capture_output=True)
    names = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
    environment = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
    batch = subprocess.Popen([*git, "cat-file", "--batch"], stdin=-1, stdout=-1, env=environment)
    return names, lambda name: read_blob(batch, f"{commit}:{name}\n".encode("utf-8", "surrogateescape"))


def read_blob(batch: subprocess.Popen[bytes], line: bytes) -> bytes:
    """A file of a commit; nothing where the snapshot lacks it."""
    assert batch.stdin is not None
    assert batch.stdout is not None
    batch.stdin.write(line)
    batch.stdin.flush()
    header = batch.stdout.readline()
    if header.endswith(b" missing\n"):
        return b""
    data = batch.stdout.read(int(header.split()[-1]))
    batch.stdout.read(1)
    return data


def segments(data: bytes) -> Iterator[NDArray[np.int16]]:
    """Segments of one file; none where it cannot be read, is too short or has no sound."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = file.samplerate
            samples = file.read(MOST_OF_A_FILE * rate, dtype="float32", always_2d=True).mean(1)
    except (soundfile.LibsndfileError, ValueError):
        return
    if len(samples) < rate * SHORTEST or not np.isfinite(samples).all():
        return
    mono = soxr.resample(samples, rate, RATE)
    for start in range(0, len(mono), RATE * SECONDS):
        part = mono[start : start + RATE * SECONDS]
        part = part[: len(part) // 2 * 2]  # a whole number of samples at 16 kHz, the unit of the tables
        if len(part) >= RATE * SHORTEST and np.abs(part).max() >= QUIETEST:
            yield (part.clip(-1, 1) * 32767).astype(np.int16)


def padded_length(part: NDArray[np.int16]) -> int:
    """Samples at 16 kHz of a segment, filled up with silence."""
    return next(length for length in PADDED if 2 * length >= len(part))


def probabilities(original: DiffResNetwork, kept: list[NDArray[np.int16]]) -> NDArray[np.uint8]:
    """round(255 sqrt(p)) of the original's probabilities at full rate, [segments, classes]."""
    rows: dict[int, NDArray[np.uint8]] = {}
    order = sorted(range(len(kept)), key=lambda row: len(kept[row]))
    for length in PADDED:
        here = [row for row in order if padded_length(kept[row]) == length]
        for first in range(0, len(here), BATCH):
            chosen = here[first : first + BATCH]
            batch = torch.zeros(len(chosen), 2 * length)
            for place, row in enumerate(chosen):
                batch[place, : len(kept[row])] = torch.from_numpy(kept[row] / np.float32(32768))
            rows.update(zip(chosen, scores(original, batch), strict=True))
    return np.stack([rows[row] for row in range(len(kept))])


@torch.no_grad()
def scores(original: DiffResNetwork, batch: torch.Tensor) -> NDArray[np.uint8]:
    """Of waveforms [B, samples]; the original reads nothing but the log spectrogram."""
    spectrogram = original.front_end.log(original.front_end(batch))
    output = original.backbone(torch.stack([spectrogram, *2 * [torch.zeros_like(spectrogram)]], 1))
    roots: NDArray[np.uint8] = np.round(255 * np.sqrt(output.probabilities.numpy())).astype(np.uint8)
    return roots


def write(
    out: Path, name: str, source: dict[str, Any], kept: list[NDArray[np.int16]], roots: NDArray[np.uint8]
) -> None:
    """The three files of a source; the table last, since a reader looks for it."""
    lengths = np.array([len(part) // 2 for part in kept])
    window = np.stack([lengths.cumsum() - lengths, lengths, [padded_length(part) for part in kept]], 1)
    hours = lengths.sum() / SAMPLE_RATE / 3600
    facts = {**source, "hours": f"{hours:.2f}", "segments": len(kept)}
    lines = [f"# {name}", *(f"{key}: {value}" for key, value in facts.items()), ""]
    (out / f"{name}.md").write_text("\n".join(lines))
    soundfile.write(out / f".{name}", np.concatenate(kept), RATE, format="FLAC", subtype="PCM_16")
    (out / f".{name}").rename(out / f"{name}.flac")
    with (out / f".{name}").open("wb") as file:
        np.savez_compressed(file, window=window.astype(np.int32), sqrt_probability_255=roots)
    (out / f".{name}").rename(out / f"{name}.npz")
    print(f"{name}: {len(kept)} segments, {hours:.2f} h", flush=True)


if __name__ == "__main__":
    main()
