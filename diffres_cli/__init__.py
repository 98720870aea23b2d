"""diffres: an audio tagger whose time resolution is a run-time knob.

The map, in the order the data flows:

    errors.py       DiffresError and its children: what was received, what is allowed, what to do
    imports.py      objects by import path; packages that are missing, and those that do not load
    arrays.py       types of arrays
    text.py         text from outside: made safe to print, read in any encoding
    locks.py        locks between processes, released when they end
    files.py        files written whole or not at all; TOML and JSON read
    timeouts.py     work in a thread: cancelled when it makes no progress, or a signal comes
    cores.py        how many cores this process may keep busy
    processes.py    worker processes that end with their parent
    pool.py         a pool of them: results as they come, one retry when a worker dies
    transfer.py     one file from an address: resumed, verified, of the stated size
    config.py       settings from diffres.toml and DIFFRES_* variables: found, read, checked
    audio/          file, bytes or array -> mono float32 [N] at a stated rate (Hz), in windows, streamed
    checkpoint/     what a model is and where it comes from: card, front end, files, hub
    inference/      how it runs without torch: ONNX Runtime, devices, frame times
    tagging/        recordings -> windows -> predictions: labels, events, settings, the tagger
    outputs/        one writer per format: table, JSON (Lines), CSV, Parquet, Audacity, Raven, Praat, RTTM
    figure/         pictures: mel | importance | warp | merged mel, as PNG/SVG/PDF and in a terminal
    batch/          folders at scale: one loop from a plan through an engine to results; a Ray cluster
    datasets/       labelled clips: official layouts read, archives fetched, waveforms at memory speed
    recipes/        what a training run is made of: TOML files, fields, rules
    nn/             the paper in torch (extra `train`): front ends, reductions, classifier, network, export
    evaluation/     a model on a dataset at each frame rate: metrics, tables, plots (extra `train`)
    training/       a recipe and a dataset -> a run folder, with Lightning (extra `train`)
    comparison/     a plan -> trained and tested models -> the paper's tables (extra `train`)
    cli/            one file per command: parse, one call, print

Importing this package, tagging and drawing never import torch.
"""

import os
from typing import TYPE_CHECKING, Any

# Libraries that send telemetry by default. Each reads its switch when it is loaded, in this
# process and in those started from it.
os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_TELEMETRY="1", RAY_USAGE_STATS_ENABLED="0")

__version__ = "0.1.0"
__all__ = [
    "AdaptiveSpectrogram", "AudioError", "DependencyError", "DiffresError", "Event", "Label",
    "MissingDependencyError", "ModelError", "OutputError", "Prediction", "SettingError", "Settings", "Tagger",
    "UsageError", "WindowPrediction", "__version__", "draw", "load_tagger",
]  # fmt: skip

if TYPE_CHECKING:
    from diffres_cli.errors import (
        AudioError,
        DependencyError,
        DiffresError,
        MissingDependencyError,
        ModelError,
        OutputError,
        SettingError,
        UsageError,
    )
    from diffres_cli.figure import draw
    from diffres_cli.tagging.prediction import AdaptiveSpectrogram, Event, Label, Prediction, WindowPrediction
    from diffres_cli.tagging.settings import Settings
    from diffres_cli.tagging.tagger import Tagger, load_tagger

_RESULTS = ("AdaptiveSpectrogram", "Event", "Label", "Prediction", "WindowPrediction")
_MODULE_OF = {
    **{name: "diffres_cli.errors" for name in __all__ if name.endswith("Error")},
    **dict.fromkeys(_RESULTS, "diffres_cli.tagging.prediction"),
    "Settings": "diffres_cli.tagging.settings",
    "Tagger": "diffres_cli.tagging.tagger",
    "load_tagger": "diffres_cli.tagging.tagger",
    "draw": "diffres_cli.figure",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `diffres --help` pays for neither NumPy nor ONNX Runtime.
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'diffres_cli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
