"""How many frames of recordings hold no sound: what `loss.empty_rms` and `loss.empty_db` amount to.

    python scripts/measure_silence.py ../shared/data/arabic-speech-commands [--clips 200] [--seed 0]

Recordings are drawn at random from the files and folders given, and their first `--seconds` are measured.
A frame is a window of the paper's front end: 25 ms every 10 ms, at 16 kHz. Each line of the table gives the
share of all frames under a threshold, and of the recordings that have such a frame.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffres_cli.audio import excerpt, find_files, open_recording
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.nn.frontends import build_front_end
from diffres_cli.nn.objectives import empty_frames, frame_rms
from diffres_cli.recipes.recipe import Loss

ABSOLUTE = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
RELATIVE = (30, 40, 45, 50, 55, 60, 70)  # dB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("audio", type=Path, nargs="+")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = sorted(path for path in find_files(options.audio, recursive=True) if isinstance(path, str))
    chosen = random.Random(options.seed).sample(found, min(options.clips, len(found)))
    print(table([waveform(path, options.seconds) for path in chosen]))


def waveform(path: str, seconds: float) -> Tensor:
    """The start of a recording, [1, N]."""
    rate = PAPER.sample_rate
    with open_recording(path) as recording:
        samples = np.concatenate(list(excerpt(recording.blocks(rate), 0, round(seconds * rate))))
    return torch.from_numpy(samples).unsqueeze(0)


def table(waveforms: list[Tensor]) -> str:
    front_end = build_front_end(*FRONT_ENDS["paper"][:2])
    levels = [frame_rms(each, PAPER) for each in waveforms]
    with torch.no_grad():
        powers = [front_end(each).mean(1).sqrt() for each in waveforms]
    loss = Loss()
    rows = [row("root of the mean mel power < 1e-4", powers, lambda each: each < 1e-4)]
    rows += [row(f"RMS < {each:g}", levels, absolute(each)) for each in ABSOLUTE]
    rows += [row(f"{each} dB under the loudest", levels, relative(each)) for each in RELATIVE]
    default = f"the default: RMS < {loss.empty_rms:g}, or {loss.empty_db:g} dB under the loudest"
    rows.append(row(default, levels, lambda each: empty_frames(each, loss.empty_rms, loss.empty_db)))
    heading = f"{len(waveforms)} recordings, {sum(each.shape[1] for each in levels)} frames\n"
    return "\n".join([heading, "| empty where | frames, % | recordings, % |", "|---|---:|---:|", *rows])


def absolute(threshold: float) -> Callable[[Tensor], Tensor]:
    return lambda levels: empty_frames(levels, threshold, 0)


def relative(below: float) -> Callable[[Tensor], Tensor]:
    return lambda levels: empty_frames(levels, 0.0, below)


def row(name: str, levels: list[Tensor], empty: Callable[[Tensor], Tensor]) -> str:
    marked = [empty(each)[0] for each in levels]
    frames, recordings = torch.cat(marked).float().mean(), np.mean([each.any().item() for each in marked])
    return f"| {name} | {100 * frames:.1f} | {100 * recordings:.0f} |"


if __name__ == "__main__":
    main()
