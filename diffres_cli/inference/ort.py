"""ONNX Runtime with its telemetry off: the only module that imports it."""

import numpy  # noqa: F401 (one that does not load says why; ONNX Runtime would hide it)
import onnxruntime

# `diffres_cli` sets ORT_DISABLE_TELEMETRY before this import. The call serves a program that had loaded ONNX
# Runtime before, and Windows builds that do not read the variable.
onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]
