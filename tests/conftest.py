"""For all tests."""

import os
import signal

# A runner started in the background by a shell ignores Ctrl-C, and its children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Torch's threads fight over the cores with ONNX Runtime's and with whatever else runs: one is faster here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
