"""Everything that could change a result, as one short text: results under another text are done again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from diffres_cli import __version__
from diffres_cli.batch.work import Setup
from diffres_cli.checkpoint.find import read_model
from diffres_cli.inference.devices import device_here, runtime_version
from diffres_cli.tagging.labels import SPECIFIC_SHARE
from diffres_cli.tagging.record import DECIMALS


def fingerprint(setup: Setup, *, records: bool = False, here: bool = True) -> str:
    """The model's bytes and labels, the settings, and what computes and writes, as 16 hexadecimal digits.

    Neither `-j` nor the machine is part of it: they do not change what is written.

    Args:
        setup: with the path of a model file, as `Setup.pinned` gives it.
        records: whether the ledger keeps the results for a combined file.
        here: whether this machine tags, so that the device "auto" is known.

    Raises:
        UsageError, ModelError: the model cannot be read.
    """
    model = read_model(Path(setup.model))
    backend = "onnx" if model.is_onnx else "torch"
    device = device_here(backend, setup.device) if here else setup.device
    parts = {
        "model": hashlib.sha256(model.data).hexdigest(),
        "parents": [hashlib.sha256(model.parents).hexdigest(), SPECIFIC_SHARE],
        "settings": asdict(setup.settings),
        "diffres": __version__,
        "backend": [backend, runtime_version(backend), device],
        "decimals": DECIMALS,
        "format": setup.format if setup.mirror is not None else None,
        "records": records,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
