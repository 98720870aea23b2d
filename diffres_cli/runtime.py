"""A model in ONNX Runtime: waveform [B, N] + t -> scores, importance, spectrograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from diffres_cli.card import ModelCard
from diffres_cli.checkpoint import ModelFile
from diffres_cli.devices import CPU, CUDA, cuda_is_offered, cuda_problem
from diffres_cli.engine import INPUTS, OUTPUTS, Whole, message_of, open_engine
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.prediction import Floats

__all__ = ["DEVICES", "OUTPUTS", "OnnxRuntime", "Runtime"]

DEVICES = ("auto", "cpu", "cuda")


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

    def begin(self, waveform: Floats) -> dict[str, Floats]:
        """Compute what does not depend on the frame rate, or put it off.

        Args:
            waveform: [B, N], mono at the card's sample rate.

        Returns:
            What `finish` goes on from: by name, each with the batch axis first.
        """
        ...

    def finish(self, begun: Mapping[str, Floats], slots: int, outputs: Sequence[str]) -> dict[str, Floats]:
        """Compute the rest, at one of perhaps several rates.

        Args:
            begun: what `begin` gave, or some rows of it. slots: t, at most T.
            outputs: which of `OUTPUTS` to compute.

        Shape:
            probabilities [B, classes], framewise [B, t', classes], importance [B, T], mel [B, F, T]
            and merged [B, F, t] (linear power), embedding [B, features].
        """
        ...

    def run(self, waveform: Floats, slots: int, outputs: Sequence[str] = OUTPUTS) -> dict[str, Floats]:
        """Run the model on a batch: `finish` what was begun."""
        return self.finish(self.begin(waveform), slots, outputs)


class OnnxRuntime(Runtime):
    """The exported graph in ONNX Runtime."""

    backend = "onnx"

    def __init__(self, model: ModelFile, device: str = "auto", threads: int = 0) -> None:
        """Load a graph.

        Args:
            device: "auto" (CUDA where ONNX Runtime offers it and it works), "cpu" or "cuda".
            threads: 0 for one a core.

        Raises:
            UsageError: CUDA was asked for and cannot be used. ModelError: not a graph, or not one of ours.
        """
        wanted = _providers(device)
        self._engine = open_engine(model, wanted, threads)
        self.card = self._engine.card
        # ONNX Runtime leaves out a provider that fails to start, and says so only on standard error.
        self.device = "cuda" if CUDA in self._engine.session.get_providers() else "cpu"
        self.warnings = _without_cuda(device) if CUDA in wanted and self.device == "cpu" else ()
        self._check_graph(model)

    def begin(self, waveform: Floats) -> dict[str, Floats]:
        """See `Runtime.begin`.

        Raises:
            ModelError: ONNX Runtime fails, for want of memory say.
        """
        with self._told():
            return self._engine.begin(waveform)

    def finish(
        self, begun: Mapping[str, Floats], slots: int, outputs: Sequence[str] = OUTPUTS
    ) -> dict[str, Floats]:
        """See `Runtime.finish`.

        Raises:
            ModelError: ONNX Runtime fails, for want of memory say.
        """
        with self._told():
            return self._engine.finish(begun, slots, outputs)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelError(f"{self.card.name}: ONNX Runtime failed: {message_of(error)}") from error

    def _check_graph(self, model: ModelFile) -> None:
        session, expected = self._engine.session, len(self.card.classes)
        inputs = {node.name for node in session.get_inputs()}
        outputs = {node.name: node.shape for node in session.get_outputs()}
        whole = inputs == set(INPUTS) and outputs.keys() >= set(OUTPUTS)
        if isinstance(self._engine, Whole) and not whole:
            raise ModelError(
                f"{model.path}: not a diffres graph: it must take {', '.join(INPUTS)} and give "
                f"{', '.join(OUTPUTS)}: export it again"
            )
        if outputs["probabilities"][-1] != expected:
            raise ModelError(
                f"{model.path}: damaged: its graph gives {outputs['probabilities'][-1]} scores, its metadata "
                f"names {expected} classes: export or download it again"
            )


def _providers(device: str) -> list[str]:
    if device not in DEVICES:
        raise UsageError(f"--device {device}: choose {', '.join(DEVICES)}")
    if device == "cuda" and not cuda_is_offered():
        raise UsageError(_no_cuda(cuda_problem()))
    return [CUDA, CPU] if device != "cpu" and cuda_is_offered() else [CPU]


def _without_cuda(device: str) -> tuple[str, ...]:
    """What to say when CUDA is offered and does not work: an error where it was asked for, else a warning."""
    problem = cuda_problem() or "ONNX Runtime cannot start on it"
    if device == "cuda":
        raise UsageError(_no_cuda(problem))
    return (f"running on the CPU, although this ONNX Runtime knows CUDA: {problem}",)


def _no_cuda(problem: str) -> str:
    return f"--device cuda: {problem}; or use --device cpu (`diffres models providers` shows what there is)"
