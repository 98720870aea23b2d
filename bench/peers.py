"""Time diffres against other taggers: same clips, same machine, one run, each in processes of its own.

    python bench/peers.py [--clips 16] [--rounds 3] [--write]

Needs the environment's own diffres, and transformers, panns_inference and librosa beside it (they are no
dependencies of ours: pip install transformers panns_inference librosa). The peers' weights are random, which
takes the same time as trained ones; nothing is downloaded. *start* is a whole process that tags one clip;
*a clip* is what each further clip adds, from processes that tag `--clips` of them. Ratios are medians over
rounds to diffres at 50 fps in the same round. `--write` replaces docs/bench-peers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from processor import processor

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "bench-peers.md"
LABELS = ROOT / "checkpoints" / "audioset-small" / "labels.csv"
RATE, SECONDS = 32_000, 10
PACKAGES = ("onnxruntime", "torch", "transformers", "panns_inference")
BASELINE = "diffres tag --fps 50"
PAGE_TEXT = """# Beside other taggers

Written by `python bench/peers.py --clips {clips} --rounds {rounds} --write` on {machine}.
Load average when it ended: {load}.

{clips} clips of {seconds} s at {rate} Hz, made of the example sounds; every program uses the threads it uses
by itself. *start* is a whole process that tags one clip, *a clip* what each further one adds, *memory* the
most a process held. Medians of {rounds} rounds; ratios are to `{baseline}` in the same round. The peers'
weights are random: their time is compared, not what they hear. The parameters tell how different the models
are: `audioset-small` is made to be small, and AST and CNN14 are not.

| | parameters | start, s | ratio | a clip, ms | ratio | memory, MiB |
|---|---:|---:|---:|---:|---:|---:|
{rows}
"""


class Cost(NamedTuple):
    """Of one process: seconds of wall time, and the most memory it held, in MiB."""

    seconds: float
    memory: float


def ast(folder: Path, clips: list[str]) -> None:
    tagger = transformers_pipeline(folder / "ast")
    for clip in clips:
        print(tagger(clip_at(clip, 16_000))[0]["label"])


def wav2vec2(folder: Path, clips: list[str]) -> None:
    tagger = transformers_pipeline(folder / "wav2vec2")
    for clip in clips:
        print(tagger(clip_at(clip, 16_000))[0]["label"])


def cnn14(folder: Path, clips: list[str]) -> None:
    import librosa
    import torch

    network = cnn14_network()
    network.load_state_dict(torch.load(folder / "cnn14.pth", weights_only=True))
    network.eval()
    for clip in clips:
        samples, _ = librosa.load(clip, sr=RATE)
        with torch.no_grad():
            print(network(torch.from_numpy(samples)[None])["clipwise_output"].argmax().item())


def transformers_pipeline(folder: Path) -> Any:
    from transformers import pipeline

    return pipeline("audio-classification", model=str(folder), device="cpu")


def cnn14_network() -> Any:
    from panns_inference.models import Cnn14

    return Cnn14(RATE, 1024, 320, 64, 50, 14000, 527)


def clip_at(path: str, rate: int) -> np.typing.NDArray[np.float32]:
    samples, own = soundfile.read(path, dtype="float32")
    resampled: np.typing.NDArray[np.float32] = soxr.resample(samples, own, rate)
    return resampled


PEERS = {"AST (transformers)": ast, "wav2vec2-base (transformers)": wav2vec2, "CNN14 (PANNs)": cnn14}


def make_models(folder: Path) -> dict[str, int]:
    """Random weights on disk, as trained ones would lie there; parameters of each."""
    import torch
    from transformers import (
        ASTConfig,
        ASTFeatureExtractor,
        ASTForAudioClassification,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
    )

    networks: dict[str, Any] = {}
    networks["AST (transformers)"] = ASTForAudioClassification(ASTConfig(num_labels=527))
    networks["wav2vec2-base (transformers)"] = Wav2Vec2ForSequenceClassification(
        Wav2Vec2Config(num_labels=527)
    )
    networks["AST (transformers)"].save_pretrained(folder / "ast")
    ASTFeatureExtractor().save_pretrained(folder / "ast")
    networks["wav2vec2-base (transformers)"].save_pretrained(folder / "wav2vec2")
    Wav2Vec2FeatureExtractor().save_pretrained(folder / "wav2vec2")
    networks["CNN14 (PANNs)"] = cnn14_network()
    torch.save(networks["CNN14 (PANNs)"].state_dict(), folder / "cnn14.pth")
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def sizes_made(folder: Path) -> dict[str, int]:
    """`make_models` in a process of its own: what this one holds would count as its children's memory."""
    command = [sys.executable, __file__, "--peer", "models", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    sizes: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return sizes


def make_clips(folder: Path, count: int) -> list[str]:
    sounds = [soundfile.read(path)[0] for path in sorted((ROOT / "examples").glob("*.ogg"))]
    paths = []
    for i in range(count):
        samples = np.resize(np.roll(sounds[i % len(sounds)], i * 1000), RATE * SECONDS)
        paths.append(str(folder / f"{i:03}.wav"))
        soundfile.write(paths[-1], samples, RATE)
    return paths


def cost(command: list[str]) -> Cost:
    """Of a process from start to end."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:6])} ...: exit code {process.returncode}")
    return Cost(time.perf_counter() - began, usage.ru_maxrss / 1024)


def commands(folder: Path) -> dict[str, list[str]]:
    program = str(Path(sys.executable).with_name("diffres"))
    if not Path(program).exists():
        program = shutil.which("diffres") or sys.exit("diffres is not installed")
    ours = {
        f"diffres tag --fps {fps}": [program, "tag", "-q", "-f", "csv", "--fps", str(fps)]
        for fps in (50, 25, 100)
    }
    theirs = {name: [sys.executable, __file__, "--peer", name, str(folder)] for name in PEERS}
    return ours | theirs


def measure(rounds: int, count: int) -> str:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "panns_data").mkdir()
        shutil.copy(LABELS, folder / "panns_data" / "class_labels_indices.csv")
        os.environ["HOME"] = place  # panns_inference looks there for labels, and would download them
        os.environ["HF_HUB_OFFLINE"] = "1"
        sizes = {f"diffres tag --fps {fps}": 1_069_000 for fps in (50, 25, 100)} | sizes_made(folder)
        clips = make_clips(folder, count)
        taken: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in commands(folder)}
        for _ in range(rounds):
            for name, command in commands(folder).items():
                taken[name].append((cost([*command, clips[0]]), cost([*command, *clips])))
    rows = "\n".join(row(name, sizes[name], taken, count) for name in taken)
    return PAGE_TEXT.format(
        clips=count, rounds=rounds, machine=machine(), rows=rows, seconds=SECONDS, rate=RATE,
        baseline=BASELINE, load=f"{os.getloadavg()[0]:.1f}",
    )  # fmt: skip


def row(name: str, parameters: int, taken: dict[str, list[tuple[Cost, Cost]]], count: int) -> str:
    start = [one.seconds for one, _ in taken[name]]
    clip = [(many.seconds - one.seconds) / (count - 1) * 1000 for one, many in taken[name]]
    first = [one.seconds for one, _ in taken[BASELINE]]
    further = [(many.seconds - one.seconds) / (count - 1) * 1000 for one, many in taken[BASELINE]]
    memory = statistics.median(many.memory for _, many in taken[name])
    return (
        f"| {name} | {parameters / 1e6:.1f} M | {statistics.median(start):.2f} | {ratio(start, first)} "
        f"| {statistics.median(clip):.0f} | {ratio(clip, further)} | {memory:.0f} |"
    )


def ratio(values: list[float], baseline: list[float]) -> str:
    return f"{statistics.median(v / b for v, b in zip(values, baseline, strict=True)):.1f}"


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{processor()}; Python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer == "models":
        print(json.dumps(make_models(Path(options.rest[0]))))
        return
    if options.peer:
        PEERS[options.peer](Path(options.rest[0]), options.rest[1:])
        return
    text = measure(options.rounds, options.clips)
    print(text)
    if options.write:
        PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
