"""How ONNX Runtime computes a model: its graph as it is, or, on a CPU, the halves of it around the warp.

Between the halves NumPy merges the frames (`diffres_cli.warp`), faster than the graph does; and the first
half, which does not depend on the frame rate, need not be computed again for another one.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from diffres_cli.card import ModelCard
from diffres_cli.checkpoint import ModelFile
from diffres_cli.devices import CPU, CUDA, preload_cuda
from diffres_cli.errors import ModelError
from diffres_cli.graph import Graph
from diffres_cli.prediction import Floats
from diffres_cli.warp import warp

if TYPE_CHECKING:
    import onnxruntime

INPUTS = ("waveform", "slots")
OUTPUTS = ("probabilities", "framewise", "importance", "mel", "merged", "embedding")
SEAMS = ("importance_logits", "picture")
"""Tensors inside the graph of a plain DiffRes, [B, T] and [B, 3, F, t]: between them lies the warp."""
_FRONT, _BACK = ("mel", "importance_logits"), ("probabilities", "framewise", "embedding")
_FATAL = 4


class Engine(Protocol):
    """What computes a model.

    Attributes:
        card: the model's facts. session: one that gives its probabilities.
    """

    card: ModelCard
    session: onnxruntime.InferenceSession

    def begin(self, waveform: Floats) -> dict[str, Floats]:
        """What can be computed before a frame rate is chosen: by name, each with the batch axis first."""
        ...

    def finish(self, begun: Mapping[str, Floats], slots: int, outputs: Sequence[str]) -> dict[str, Floats]:
        """The rest, from what `begin` gave on, at t = `slots`: those of `OUTPUTS` that are asked for."""
        ...


class Whole:
    """The published graph, which computes everything at once."""

    def __init__(self, card: ModelCard, session: onnxruntime.InferenceSession) -> None:
        self.card, self.session = card, session

    def begin(self, waveform: Floats) -> dict[str, Floats]:
        """See `Engine.begin`."""
        return {"waveform": waveform}

    def finish(self, begun: Mapping[str, Floats], slots: int, outputs: Sequence[str]) -> dict[str, Floats]:
        """See `Engine.finish`."""
        values = self.session.run(list(outputs), {**begun, "slots": np.zeros(slots, np.float32)})
        return dict(zip(outputs, values, strict=True))


class Halves:
    """Waveform -> mel and importance logits in one graph, picture -> scores in another, NumPy in between."""

    def __init__(
        self, card: ModelCard, front: onnxruntime.InferenceSession, back: onnxruntime.InferenceSession
    ) -> None:
        self.card, self.session, self._front = card, back, front

    def begin(self, waveform: Floats) -> dict[str, Floats]:
        """See `Engine.begin`."""
        heard = self._front.run(list(_FRONT), {"waveform": waveform})
        return {"waveform": waveform, **dict(zip(_FRONT, heard, strict=True))}

    def finish(self, begun: Mapping[str, Floats], slots: int, outputs: Sequence[str]) -> dict[str, Floats]:
        """See `Engine.finish`."""
        warped = warp(begun["mel"], begun["importance_logits"], slots, self.card.mel.log)
        asked = [name for name in outputs if name in _BACK]
        # The exporter tells some shapes inside by those of the graph's inputs.
        feed = {
            "picture": warped.picture,
            "waveform": begun["waveform"],
            "slots": np.zeros(slots, np.float32),
        }
        scores = self.session.run(asked, feed) if asked else []
        found = dict(zip(asked, scores, strict=True))
        found |= {"mel": begun["mel"], "importance": warped.importance, "merged": warped.merged}
        return {name: found[name] for name in outputs}


def open_engine(model: ModelFile, providers: list[str], threads: int) -> Engine:
    """A model's halves where it has seams and runs on a CPU, else its whole graph.

    Args:
        providers: of ONNX Runtime, the best first. threads: 0 for one a core.

    Raises:
        ModelError: not a model that ONNX Runtime can run, or not one of ours.
    """
    parts = _halves(model.data) if providers == [CPU] else []
    sessions = [_open(model, data, providers, threads) for data in parts or [model.data]]
    metadata = sessions[-1].get_modelmeta().custom_metadata_map
    card = ModelCard.from_metadata(metadata, str(model.path)).renamed(model.name)
    return Halves(card, *sessions) if parts else Whole(card, *sessions)


def message_of(error: BaseException) -> str:
    """The first line of an ONNX Runtime error, without its code."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line).rstrip(".")


def _halves(model: bytes) -> list[bytes]:
    """The graphs before and after the warp; none where it cannot be told from the rest."""
    try:
        graph = Graph(model)
        return [graph.part(["waveform"], _FRONT), graph.part(["picture", *INPUTS], _BACK)]
    except ValueError:  # no seams: a variant's, or made before there were any; or no model, as will be told
        return []


def _open(model: ModelFile, data: bytes, providers: list[str], threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL  # what matters comes back as an exception
    # A thread without work sleeps: spinning took half of all CPU time, and beside other programs it delayed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of memory for every length seen: no faster here, and kept for good.
    options.enable_mem_pattern = False
    if CUDA in providers:
        onnxruntime.set_default_logger_severity(_FATAL)  # what fails to load is told in our words
        preload_cuda()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where it says that it falls back to the CPU
            session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ModelError(f"{model.path}: not a model ONNX Runtime can run ({message_of(error)})") from error
    session.disable_fallback()  # a failure while running is an error, not a line among the results
    return session
