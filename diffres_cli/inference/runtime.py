"""A model in ONNX Runtime: waveform [B, N] + fps -> scores, importance, spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import ModelFile, read_model
from diffres_cli.checkpoint.frontend import MAX_FPS
from diffres_cli.errors import ModelError, SettingError
from diffres_cli.inference.devices import CPU, CUDA, cuda_is_offered, cuda_problem
from diffres_cli.inference.engine import message_of, open_session, stoppable
from diffres_cli.inference.graph import FPS_INPUT

if TYPE_CHECKING:
    from diffres_cli.inference.ort import onnxruntime

__all__ = ["DEVICES", "OUTPUTS", "OnnxRuntime", "Runtime"]

DEVICES = ("auto", "cpu", "cuda")
OUTPUTS = ("probabilities", "framewise", "importance", "mel", "merged", "embedding")
_SHARES = ("probabilities", "framewise", "importance")
_ROUNDING = 1e-3  # how far a share may be outside 0 to 1
_MOST_RATES = 8  # whose sessions are kept: a few megabytes each


class Runtime(Protocol):
    """What a tagger needs of a model, whichever library runs it.

    Attributes:
        card: its facts. device: "cpu" or "cuda". backend: "onnx" or "torch".
        warnings: what one should know of where it runs.
    """

    card: ModelCard
    device: str
    backend: str
    warnings: tuple[str, ...]

    def run(self, waveform: Floats, fps: float, outputs: Sequence[str] = OUTPUTS) -> dict[str, Floats]:
        """Run the model on a batch.

        Args:
            waveform: [B, N], mono at the card's sample rate. fps: output frames per second.
            outputs: which of `OUTPUTS` to return.

        Shape:
            probabilities [B, classes], framewise [B, t', classes], importance [B, T], mel [B, F, T]
            and merged [B, F, t] (linear power), embedding [B, features].

        Raises:
            UsageError: a rate that the model does not serve.
            ModelError: it fails, for want of memory say, or computes nonsense: see `check_outputs`.
        """
        ...


def check_outputs(values: Mapping[str, Floats], model: str) -> dict[str, Floats]:
    """What a model computed, its shares kept within 0 and 1 where rounding led out.

    Args:
        values: by the names of `OUTPUTS`. model: its name.

    Raises:
        ModelError: a value is not finite, or a score or an importance is not between 0 and 1.

    >>> check_outputs({"probabilities": np.float32([0.5, 1.0000002])}, "mine")["probabilities"].tolist()
    [0.5, 1.0]
    """
    return {name: _checked(name, value, model) for name, value in values.items()}


def _checked(name: str, values: Floats, model: str) -> Floats:
    low, high = (0.0, 1.0) if name in _SHARES else (-np.inf, np.inf)
    good = np.isfinite(values) & (values >= low - _ROUNDING) & (values <= high + _ROUNDING)
    if not good.all():
        wrong = values[~good][0]
        expected = "of 0 to 1" if name in _SHARES else "finite"
        raise ModelError(
            f"{model}: it computes {name} of {wrong:g}, not {expected}: install or export it again"
        )
    return values.clip(low, high)


class OnnxRuntime(Runtime):
    """The exported graph in ONNX Runtime."""

    backend = "onnx"

    def __init__(
        self, model: ModelFile, device: str = "auto", threads: int = 1, fps: float | None = None
    ) -> None:
        """Load a graph for one frame rate; for others it is loaded when they are first run.

        Args:
            device: "auto" (CUDA where ONNX Runtime offers it and it works), "cpu" or "cuda".
            threads: 0 for one a core. fps: the first rate; None: the model's default.

        Raises:
            UsageError: CUDA was asked for and cannot be used, or a rate that the model does not serve.
            ModelError: not a graph, or not one of ours.
        """
        wanted = _providers(device)
        self._open = partial(open_session, model, wanted, threads)
        session = self._open(fps if fps is not None and 0 < fps <= MAX_FPS else None)
        metadata = session.get_modelmeta().custom_metadata_map
        self.card = ModelCard.from_metadata(metadata, str(model.path)).renamed(model.name)
        # ONNX Runtime leaves out a provider that fails to start, and says so only on standard error.
        self.device = "cuda" if CUDA in session.get_providers() else "cpu"
        self.warnings = _without_cuda(device) if CUDA in wanted and self.device == "cpu" else ()
        self._check_graph(model, session)
        self._sessions = {self.card.check_fps(self.card.default_fps if fps is None else fps): session}

    def run(self, waveform: Floats, fps: float, outputs: Sequence[str] = OUTPUTS) -> dict[str, Floats]:
        """See `Runtime.run`.

        Raises:
            UsageError: a rate that the model does not serve.
            ModelError: ONNX Runtime fails, for want of memory say, or the graph computes nonsense.
        """
        session = self._session_at(fps)
        try:
            values = session.run(list(outputs), {"waveform": waveform}, stoppable())
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelError(f"{self.card.name}: ONNX Runtime failed: {message_of(error)}") from error
        return check_outputs(dict(zip(outputs, values, strict=True)), self.card.name)

    def _session_at(self, fps: float) -> onnxruntime.InferenceSession:
        if fps not in self._sessions:
            opened = self._open(self.card.check_fps(fps))
            if len(self._sessions) >= _MOST_RATES:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[fps] = opened
        return self._sessions[fps]

    def _check_graph(self, model: ModelFile, session: onnxruntime.InferenceSession) -> None:
        inputs = {node.name for node in session.get_inputs()}  # the rate is none of them any more
        outputs = {node.name: node.shape for node in session.get_outputs()}
        if "slots" in inputs:
            raise ModelError(
                f"{model.path}: an older graph, which takes slots where now fps is: make it again with "
                "`diffres export` from the .safetensors file that belongs to it"
            )
        if inputs != {"waveform"} or not outputs.keys() >= set(OUTPUTS):
            raise ModelError(
                f"{model.path}: not a diffres graph: it must take waveform and {FPS_INPUT} and give "
                f"{', '.join(OUTPUTS)}: export it again"
            )
        classes, bins = len(self.card.classes), self.card.mel.mel_bins
        for name, stated, what in (
            ("probabilities", classes, f"scores, its metadata names {classes} classes"),
            ("mel", bins, f"mel bins, its metadata states {bins}"),
        ):
            given = outputs[name][1] if len(outputs[name]) > 1 else "no"
            if given != stated:
                raise ModelError(
                    f"{model.path}: damaged: its graph gives {given} {what}: export or download it again"
                )


def _providers(device: str) -> list[str]:
    if device not in DEVICES:
        raise SettingError("device", device, f"choose {', '.join(DEVICES)}")
    if device == "cuda" and not cuda_is_offered():
        raise SettingError("device", "cuda", _no_cuda(cuda_problem()))
    return [CUDA, CPU] if device != "cpu" and cuda_is_offered() else [CPU]


def _without_cuda(device: str) -> tuple[str, ...]:
    """What to say when CUDA is offered and does not work: an error where it was asked for, else a warning."""
    problem = cuda_problem() or "ONNX Runtime cannot start on it"
    if device == "cuda":
        raise SettingError("device", "cuda", _no_cuda(problem))
    return (f"running on the CPU, although this ONNX Runtime knows CUDA: {problem}",)


def _no_cuda(problem: str) -> str:
    return f"{problem}; or choose cpu (`diffres models providers` shows what there is)"


def read_card(path: Path) -> ModelCard:
    """The card in a graph's metadata.

    Raises:
        ModelError: the model cannot be read, or states no facts.
    """
    return OnnxRuntime(read_model(path), "cpu").card
