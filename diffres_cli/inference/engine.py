"""An ONNX Runtime session on a model, quiet and without fallbacks."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.checkpoint.find import ModelFile, read_model
from diffres_cli.errors import ModelError
from diffres_cli.inference.devices import CPU, CUDA, preload_cuda
from diffres_cli.inference.graph import has_external_data, with_fixed_rate
from diffres_cli.timeouts import on_cancel, run_with_timeout, start_work

if TYPE_CHECKING:
    from diffres_cli.inference.ort import onnxruntime

_FATAL = 4
_preloads: dict[tuple[Path, float | None], Callable[[], tuple[ModelFile, onnxruntime.InferenceSession]]] = {}


def message_of(error: BaseException) -> str:
    """The first line of an ONNX Runtime error, without its code."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line).rstrip(".")


def preload_session(path: Path, fps: float | None = None) -> None:
    """Start to load a model file on the CPU, in one thread, for the next `open_session` of it at this rate.

    ONNX Runtime loads without holding Python's lock: meanwhile the caller can import what else it needs.
    What goes wrong is raised by that `open_session`.
    """
    _preloads[path, fps] = start_work(partial(_load_file, path, fps))
    from diffres_cli.inference.ort import onnxruntime  # noqa: F401 (before all else: loading waits for it)


def open_session(
    model: ModelFile, providers: list[str], threads: int, fps: float | None = None
) -> onnxruntime.InferenceSession:
    """Load a model's graph for one frame rate, so that what follows from the rate is computed here, once.

    Args:
        providers: of ONNX Runtime, the best first. threads: 0 for one a core.
        fps: output frames per second; None: the model's default.

    Raises:
        ModelError: not a model that ONNX Runtime can run, or one that reads other files.
    """
    if (model.path, fps) in _preloads and (providers, threads) == ([CPU], 1):
        preloaded, session = _preloads.pop((model.path, fps))()
        if preloaded == model:
            return session
    return _load(model, providers, threads, fps)


def _load_file(path: Path, fps: float | None) -> tuple[ModelFile, onnxruntime.InferenceSession]:
    model = read_model(path)
    return model, _load(model, [CPU], 1, fps)


def _load(
    model: ModelFile, providers: list[str], threads: int, fps: float | None
) -> onnxruntime.InferenceSession:
    graph = _graph_at(model, fps)  # before the import, which may take longer than this in another thread
    from diffres_cli.inference.ort import onnxruntime

    cuda = CUDA in providers
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL  # what matters comes back as an exception
    # A thread without work sleeps: spinning took half of all CPU time, and beside other programs it delayed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime's own format, recognised by a few bytes, can name other files, too.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # A plan of memory for every length seen: no faster here, and kept for good.
    options.enable_mem_pattern = False
    if cuda:
        onnxruntime.set_default_logger_severity(_FATAL)  # load failures are reported by our own messages
        preload_cuda()
    load = partial(onnxruntime.InferenceSession, graph, options, providers=providers, enable_fallback=cuda)
    # Where it says that it falls back to the CPU. Standard output belongs to all threads.
    quiet = contextlib.redirect_stdout(io.StringIO()) if cuda else contextlib.nullcontext()
    try:
        with quiet:
            session = run_with_timeout(load)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ModelError(f"{model.path}: not a model ONNX Runtime can run ({message_of(error)})") from error
    session.disable_fallback()  # a failure while running is an error, not a line among the results
    return session


def stoppable() -> onnxruntime.RunOptions:
    """Options for one run of a session, which ends at its next node when it is cancelled (see `timeouts`)."""
    from diffres_cli.inference.ort import onnxruntime

    options = onnxruntime.RunOptions()
    on_cancel("model", partial(setattr, options, "terminate", True))
    return options


def _graph_at(model: ModelFile, fps: float | None) -> bytes:
    try:
        external = has_external_data(model.data)
        graph = with_fixed_rate(model.data, fps)
    except ValueError as error:
        raise ModelError(f"{model.path}: not a model ONNX Runtime can run ({error})") from error
    if external:
        raise ModelError(
            f"{model.path}: keeps weights in another file; all must be in one: onnx.save writes it so, "
            "without external data"
        )
    return graph
