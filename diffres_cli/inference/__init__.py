"""How a model runs without torch.

timing.py   frame counts and rates; the warp read back in seconds
devices.py  where a model can run here, and why it cannot elsewhere
graph.py    an ONNX model's bytes: data in other files refused, the rate made a constant
ort.py      ONNX Runtime, imported in one place without its telemetry
engine.py   an ONNX Runtime session, quiet and without fallbacks
runtime.py  a model in ONNX Runtime: waveform [B, N] + fps -> scores, importance, spectrograms
"""
