"""diffres: an audio tagger whose time resolution is a run-time knob.

The map, in the order the data flows:

    errors.py       DiffresError and its children: what was received, what is allowed, what to do
    imports.py      packages that are not installed or do not load, told apart
    text.py         names and labels from outside, made fit to print
    locks.py        locks between processes, which end with them
    files.py        writing files whole or not at all
    textfile.py     text that a user gives: UTF-8 or UTF-16, with any line ends
    cores.py        how many cores this process may use: affinity, and a container's quota
    watch.py        work in a thread: given up when it makes no progress, or a signal comes
    processes.py    worker processes: a pipe to each, deaf to Ctrl-C, stopped by their parent
    prediction.py   the result types: Label, AdaptiveSpectrogram, WindowPrediction, Prediction
    melconfig.py    a front end in numbers
    variant.py      what a model does otherwise than DiffRes on mel, for comparison
    card.py         the facts a model carries with it
    timing.py       frame counts and rates; the warp read back in seconds
    audio/          file, bytes or array -> one channel or their mean, float32 [N] at a stated rate, streamed
    transfer.py     a file from an address -> this disk, resumed, bounded and verified
    hub/            hf:ORG/NAME[@REVISION] <-> files, through the standard hub cache
    checkpoint.py   a name, folder, file or hf: reference -> the verified model file
    ort.py          ONNX Runtime, with its telemetry off
    devices.py      where a model can run here, and why it cannot elsewhere
    graph.py        whether an ONNX model keeps data in other files
    engine.py       an ONNX Runtime session, quiet and without fallbacks
    runtime.py      a model in ONNX Runtime: waveform [B, N] + t -> scores, importance, spectrograms
    push.py         a checkpoint folder, complete and true to its own card -> the hub
    labels.py       scores -> ranked labels, of all or of a list; window scores -> the recording's
    events.py       framewise scores -> events: a label's starts and ends in seconds
    settings.py     how to tag: frame rate, windows, which labels, what to keep
    assemble.py     what a model computes -> predictions of windows -> the recording's
    tagger.py       recordings -> windows -> batches -> predictions: the whole job
    outputs/        one writer per format: table, JSON (Lines), CSV, Parquet, Audacity, Raven, Praat
    job.py          many recordings through one tagger: the good written, the bad reported
    batch/          folders at scale: plan, workers, ledger, run
    datasets/       labelled clips: official layouts read, archives fetched, waveforms at memory speed
    picture.py      predictions -> what a picture shows: decibels, joined windows, columns of pixels
    figure/         mel | importance | warp | merged mel, as PNG/SVG/PDF
    terminal.py     the same for a terminal
    config.py       settings from diffres.toml and DIFFRES_* variables: found, read, checked
    cli/            one file per command: parse, one call, print
    model/          the paper in torch (extra `train`): front ends, reductions, classifier, network, export
    evaluation/     a model on a dataset at each frame rate: metrics, tables, plots (extra `train`)
    training/       a recipe (recipes/*.toml) and a dataset -> a run folder, with Lightning (extra `train`)
    comparison/     a plan (plans/*.toml) -> trained and tested models -> the paper's tables (extra `train`)

Importing this package, tagging and drawing never import torch.
"""

import os
from typing import TYPE_CHECKING, Any

# Libraries that report to their makers unless told not to. Each reads its switch when it is loaded, in this
# process and in those started from it.
os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_TELEMETRY="1", RAY_USAGE_STATS_ENABLED="0")

__version__ = "0.1.0"
__all__ = ["DiffresError", "Prediction", "Tagger", "__version__", "load_tagger"]

if TYPE_CHECKING:
    from diffres_cli.errors import DiffresError
    from diffres_cli.tagging.prediction import Prediction
    from diffres_cli.tagging.tagger import Tagger, load_tagger

_HOMES = {
    "DiffresError": "diffres_cli.errors",
    "Prediction": "diffres_cli.tagging.prediction",
    "Tagger": "diffres_cli.tagging.tagger",
    "load_tagger": "diffres_cli.tagging.tagger",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `diffres --help` pays for neither NumPy nor ONNX Runtime.
    if name not in _HOMES:
        raise AttributeError(f"module 'diffres_cli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
