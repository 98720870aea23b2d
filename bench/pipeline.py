"""Time the input pipeline: decode a dataset once into a cache, open the cache, read batches from it.

    python bench/pipeline.py [--data ../shared/data/arabic-speech-commands] [--rounds 5] [--write]

Every round reads every clip once, in batches of a new random order, from the cache and from a tensor that
holds all clips as float32, in turn and on one thread; a ratio is the median over rounds of the cache's time
over the tensor's in the same round. CPU time is hardly disturbed by what else runs; wall time is what was
waited for. `--write` replaces docs/bench-pipeline.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from processor import processor

from diffres_cli.cores import available_cores
from diffres_cli.datasets import Clip
from diffres_cli.datasets.waveforms.cache import WaveformCache, build_cache
from diffres_cli.datasets.waveforms.decoding import clip_key
from diffres_cli.datasets.waveforms.shards import ShardWriter

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "bench-pipeline.md"
DATA = ROOT.parent / "shared" / "data" / "arabic-speech-commands"
RATE, SECONDS, BATCH = 16000, 1.0, 128  # Hz, s, clips
BARE = 1000  # clips decoded by soundfile alone
MANY = 100_000
PER_SHARD = 256
Read = Callable[[np.typing.NDArray[np.int64]], object]
PAGE_TEXT = """# The input pipeline, measured

Written by `python bench/pipeline.py --rounds {rounds} --write` on {machine}.
Data: {clips:,} clips of {data}, {seconds:g} s at {rate} Hz once decoded.
Load average when it was run: {load}.

## Reading

One epoch in random order, batches of {batch}, float32, one thread; medians of {rounds} rounds. The tensor
holds all clips in memory ({tensor:.0f} MB; the cache takes {disk:.0f} MB on the disk) and is indexed with the
same batches; *ratio* is to its time.

| | clips/s, wall | clips/s, CPU | wall ratio | CPU ratio |
|---|---:|---:|---:|---:|
{reading}

## Building and opening

The first build decodes, resamples and writes, in {workers} processes. To open what is finished takes one look
at every file and at every shard's index; its time is the median of {rounds}. Target: under 2 s.

| | wall, s | CPU, s | CPU, µs a clip |
|---|---:|---:|---:|
{building}

*soundfile alone* reads {bare:,} of the clips one after the other in one process and keeps nothing; its times
are scaled to all {clips:,}.
"""


class Time(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Time:
    """What `work` takes, in this process and in its children that ended."""
    before, began = cpu_time(), time.perf_counter()
    work()
    return Time(time.perf_counter() - began, cpu_time() - before)


def cpu_time() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def median(times: Sequence[Time]) -> Time:
    return Time(*(statistics.median(each) for each in zip(*times, strict=True)))


def clips_in(folder: Path) -> list[Clip]:
    return [Clip(path.name, path, (), "train") for path in sorted(folder.rglob("*.ogg"))]


def bare(clips: Sequence[Clip]) -> Time:
    chosen = clips[:: max(1, len(clips) // BARE)][:BARE]
    took = timed(lambda: [soundfile.read(clip.path, dtype="float32") for clip in chosen])
    return Time(*(seconds * len(clips) / len(chosen) for seconds in took))


def batches(count: int, seed: int) -> Iterator[np.typing.NDArray[np.int64]]:
    order = np.random.default_rng(seed).permutation(count)
    return (order[first : first + BATCH] for first in range(0, count, BATCH))


def reading(cache: WaveformCache, rounds: int) -> str:
    count, samples = len(cache.names), round(RATE * SECONDS)
    tensor = torch.from_numpy(np.concatenate([cache.read([i], samples) for i in range(count)]))
    ways: dict[str, Read] = {
        "tensor in memory": lambda rows: tensor[torch.from_numpy(rows)],
        "`WaveformCache.read`": lambda rows: cache.read(rows.tolist(), samples),
    }
    times: dict[str, list[Time]] = {name: [] for name in ways}
    for seed in range(rounds):
        for name, read in ways.items():
            times[name].append(timed(partial(epoch, read, count, seed)))
    return "\n".join(
        reading_row(name, taken, times["tensor in memory"], count) for name, taken in times.items()
    )


def epoch(read: Read, count: int, seed: int) -> None:
    for rows in batches(count, seed):
        read(rows)


def reading_row(name: str, taken: list[Time], baseline: list[Time], count: int) -> str:
    middle = median(taken)
    pairs = list(zip(taken, baseline, strict=True))
    ratios = (statistics.median(own[i] / other[i] for own, other in pairs) for i in range(2))
    rates = (f"{count / seconds:,.0f}" for seconds in middle)
    return f"| {name} | {' | '.join(rates)} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |"


def building_row(name: str, took: Time, clips: int) -> str:
    return f"| {name} | {took.wall:.2f} | {took.cpu:.2f} | {took.cpu / clips * 1e6:.1f} |"


def many(folder: Path, rounds: int) -> Time:
    """To open a cache of `MANY` clips: files of one byte, shards of one sample a clip."""
    place = folder / "cache" / f"{RATE}hz-{round(RATE * SECONDS)}-v1"
    place.mkdir(parents=True)
    clips = []
    for first in range(0, MANY, PER_SHARD):
        (below := folder / f"{first:06}").mkdir()
        for number in range(first, min(first + PER_SHARD, MANY)):
            (path := below / f"{number:06}.wav").write_bytes(b"1")
            clips.append(Clip(path.name, path, (), "train"))
        with (place / f"{first}.shard").open("wb") as file:
            shard = ShardWriter(file)
            for clip in clips[first:]:
                shard.add(clip_key(clip), np.ones(1, np.float32))
            shard.finish()
    return median([timed(lambda: open_finished(clips, folder / "cache")) for _ in range(rounds)])


def open_finished(clips: Sequence[Clip], folder: Path) -> WaveformCache:
    cache = build_cache(clips, RATE, SECONDS, folder)
    assert not cache.failures
    return cache


def machine() -> str:
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}"
    return f"{processor()}; {versions}, soundfile {soundfile.__version__}"


def measure(data: Path, rounds: int, folder: Path) -> str:
    clips, load = clips_in(data), os.getloadavg()[0]
    one = bare(clips)
    first = timed(lambda: build_cache(clips, RATE, SECONDS, folder / "cache"))
    opened = median([timed(lambda: open_finished(clips, folder / "cache")) for _ in range(rounds)])
    rows = [
        building_row("soundfile alone", one, len(clips)),
        building_row("first build", first, len(clips)),
        building_row("open, finished", opened, len(clips)),
        building_row(
            f"open, {MANY:,} clips in {-(-MANY // PER_SHARD)} shards", many(folder / "many", rounds), MANY
        ),
    ]
    return PAGE_TEXT.format(
        rounds=rounds, machine=machine(), clips=len(clips), data=data.name, seconds=SECONDS, rate=RATE,
        load=f"{load:.1f} on {os.cpu_count()} cores", batch=BATCH, workers=available_cores(), bare=BARE,
        tensor=len(clips) * RATE * SECONDS * 4e-6, building="\n".join(rows),
        disk=sum(path.stat().st_size for path in (folder / "cache").rglob("*.shard")) / 1e6,
        reading=reading(open_finished(clips, folder / "cache"), rounds),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"replace docs/{PAGE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        page = measure(options.data, options.rounds, Path(folder))
        print(page, flush=True)  # before a hundred thousand files are removed
        if options.write:
            PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
