"""Time and weigh the warp, forward and backward, against dense formulations in torch on the CPU.

    python bench/warp.py [--rounds 3] [--write]

Mean, maximum and encoding of B clips, and the gradient of their sum with respect to frames and
importance. Every measurement is a process of its own on one thread: time is CPU time, which other
processes hardly disturb, of the second of two runs; memory is what the first run's peak adds to the
process as it stood before (Linux: VmHWM, reset). Every round measures every way once, in turn; a ratio
is the median over rounds. `--write` replaces docs/bench-warp.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from processor import processor
from torch import Tensor

from diffres_cli.nn.importance import rescale
from diffres_cli.nn.warp import merge_max, merge_mean, overlaps, resolution_encoding

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-warp.md"
Merged = tuple[Tensor, Tensor, Tensor]
INTRODUCTION = """# The warp, measured

Written by `python bench/warp.py --write`. Mean, maximum and resolution encoding of B clips, forward and
backward, in torch {torch} on one thread: CPU time of the second run in a fresh process, and what the
first run's peak adds to that process. Medians of {rounds} rounds; *×* is the ratio to the first line in
the same round. Frames and importance are random, the importance uneven (scores to the third power).

- **closed form**: `diffres_cli.nn.warp`, T + t weighted frames and no matrix.
- **matrix, whole product**: W is built; mean and encoding are products with it, the maximum is taken over
  W[i, j] X[:, j], F t T numbers a clip. All clips at once would be {product:.1f} GB and do not fit: each clip
  runs forward and backward alone, which costs no time and spares B - 1 products.
- **matrix, odd and even rows**: W is built; mean and encoding as above. Among rows of one parity no frame
  is in two, so the maximum is two scatters with weights summed over W's odd and even rows (the way of
  the authors' code; with torch's scatter here).
- **closed form, rows of 2 T**: both entries of every frame in one list, reduced by `index_add` and
  `index_reduce` over rows. In ONNX it becomes a ScatterND with duplicate rows, some of whose updates
  ONNX Runtime loses when it runs on several threads.

{machine}.
"""


class Size(NamedTuple):
    """B clips of F bins, T frames merged into t."""

    clips: int
    bins: int
    frames: int
    output_frames: int

    def __str__(self) -> str:
        return f"B {self.clips}, F {self.bins}, T {self.frames:,}, t {self.output_frames:,}"


class Cost(NamedTuple):
    """CPU seconds, and MiB of memory at the peak."""

    seconds: float
    mebibytes: float


SIZE, LONG = Size(8, 128, 3000, 750), Size(8, 128, 10_000, 1000)


def closed(frames: Tensor, importance: Tensor, output_frames: int) -> Merged:
    where = overlaps(importance, output_frames)
    encoding = resolution_encoding(where, frames.shape[1])
    return merge_mean(frames, where), merge_max(frames, where), encoding


def rows_of_2t(frames: Tensor, importance: Tensor, output_frames: int) -> Merged:
    end = importance.double().cumsum(1)
    start = end - importance
    first = start.floor().clamp(0, output_frames - 1)
    inside = torch.minimum(end, first + 1) - start
    rows = torch.cat([first, (first + 1).clamp_max(output_frames - 1)], 1).long()
    weights = torch.cat([inside, end - first - 1], 1).clamp_min(0).to(frames.dtype)
    flat = (rows + torch.arange(len(rows))[:, None] * output_frames).flatten()

    def weighted(x: Tensor) -> Tensor:
        by_time = x.transpose(1, 2)
        return (torch.cat([by_time, by_time], 1) * weights[:, :, None]).flatten(0, 1)

    def unflat(x: Tensor) -> Tensor:
        return x.reshape(len(rows), output_frames, -1).transpose(1, 2)

    empty = frames.new_zeros(len(rows) * output_frames, frames.shape[1])
    largest = empty.index_reduce(0, flat, weighted(frames), "amax")
    mean, encoding = (empty.index_add(0, flat, weighted(x)) for x in (frames, sinusoids(frames)))
    return unflat(mean), unflat(largest) * (frames.shape[2] / output_frames), unflat(encoding)


def whole_product(frames: Tensor, importance: Tensor, output_frames: int) -> Merged:
    warp = matrix(importance, output_frames)
    largest = (warp[:, None] * frames[:, :, None]).amax(3)
    return products(frames, warp, largest)


def odd_and_even(frames: Tensor, importance: Tensor, output_frames: int) -> Merged:
    warp = matrix(importance, output_frames)
    largest = frames.new_zeros(*frames.shape[:2], output_frames)
    for parity in (0, 1):
        part = warp[:, parity::2]
        rows = (2 * part.detach().argmax(1) + parity)[:, None].expand_as(frames)
        largest = largest.scatter_reduce(2, rows, frames * part.sum(1)[:, None], "amax")
    return products(frames, warp, largest)


def matrix(importance: Tensor, output_frames: int) -> Tensor:
    """The dense closed form, [B, t, T]."""
    end = importance.cumsum(1)[:, None]
    start = end - importance[:, None]
    row = torch.arange(output_frames)[:, None]
    return (torch.minimum(end, row + 1.0) - torch.maximum(start, row.float())).clamp_min(0.0)


def products(frames: Tensor, warp: Tensor, largest: Tensor) -> Merged:
    by_row = warp.transpose(1, 2)
    return frames @ by_row, largest * (frames.shape[2] / warp.shape[1]), sinusoids(frames) @ by_row


def sinusoids(frames: Tensor) -> Tensor:
    """The encoding of the input time, [B, F, T]."""
    bins, length = frames.shape[1:]
    rates = 10000.0 ** (-torch.arange(0, bins, 2) / bins)
    angles = rates[:, None] * torch.arange(length)
    return torch.stack([angles.sin(), angles.cos()], 1).reshape(1, bins, -1).expand_as(frames)


WAYS: dict[str, Callable[[Tensor, Tensor, int], Merged]] = {
    "closed form": closed,
    "matrix, whole product": whole_product,
    "matrix, odd and even rows": odd_and_even,
    "closed form, rows of 2 T": rows_of_2t,
}


def run(way: str, frames: Tensor, importance: Tensor, output_frames: int) -> None:
    """Forward and backward; clip by clip where the whole batch would not fit."""
    together = len(frames) if WAYS[way] is not whole_product else 1
    for part, weights in zip(torch.split(frames, together), torch.split(importance, together), strict=True):
        mean, largest, encoding = WAYS[way](part, weights, output_frames)
        (mean.sum() + largest.sum() + encoding.sum()).backward()  # type: ignore[no-untyped-call]


def measure_here(way: str, size: Size) -> Cost:
    """Memory of a first run, then time of a second, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = torch.rand(size.clips, size.bins, size.frames).requires_grad_()
    importance = (
        rescale(torch.rand(size.clips, size.frames) ** 3, size.output_frames).float().requires_grad_()
    )
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is held now
    before = memory("VmRSS")
    run(way, frames, importance, size.output_frames)
    peak = memory("VmHWM")
    start = time.process_time()
    run(way, frames, importance, size.output_frames)
    return Cost(time.process_time() - start, peak - before)


def memory(field: str) -> float:
    """MiB from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measure(way: str, size: Size) -> Cost:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--size", *map(str, size)]
    return Cost(*json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def table(size: Size, ways: list[str], rounds: int) -> str:
    costs = [[measure(way, size) for way in ways] for _ in range(rounds)]
    lines = [f"## {size}\n", "| | ms | × | MiB | × |", "|---|---:|---:|---:|---:|"]
    for index, way in enumerate(ways):
        mine, first = [one[index] for one in costs], [one[0] for one in costs]
        slower = statistics.median(a.seconds / b.seconds for a, b in zip(mine, first, strict=True))
        larger = statistics.median(a.mebibytes / b.mebibytes for a, b in zip(mine, first, strict=True))
        seconds = statistics.median(cost.seconds for cost in mine)
        mebibytes = statistics.median(cost.mebibytes for cost in mine)
        lines.append(f"| {way} | {1e3 * seconds:.0f} | {slower:.1f} | {mebibytes:.0f} | {larger:.1f} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    return f"{processor()}; Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"replace docs/{PAGE.name}")
    parser.add_argument("--way", choices=WAYS, help="measure one way here, and print it as JSON")
    parser.add_argument("--size", type=int, nargs=4, metavar=("B", "F", "T", "t"), default=SIZE)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure_here(options.way, Size(*options.size))))
        return
    product = 4e-9 * SIZE.clips * SIZE.bins * SIZE.frames * SIZE.output_frames
    page = INTRODUCTION.format(
        torch=torch.__version__, rounds=options.rounds, product=product, machine=machine()
    )
    page += "\n" + table(SIZE, list(WAYS), options.rounds)
    page += "\n" + table(LONG, [way for way in WAYS if way != "matrix, whole product"], options.rounds)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
