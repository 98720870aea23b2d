"""The paper in torch, one module per stage (extra `train`).

    frontends/     waveform [B, N] -> [B, F, T]: mel, learned filters, STFT, constant Q
    importance.py  log mel -> frame scores [B, T] -> importance s [B, T]  (Eq. 3, Table 6)
    warp.py        s -> overlap weights -> merged frames [B, F, t]       (Eq. 5, 6, Algorithm 1)
    objectives.py  guide loss and activeness                             (Eq. 7, 4)
    diffres.py     DiffRes, from these parts: [B, F, T] -> [B, 3, F, t]  (section 3)
    reductions.py  its rivals                                            (Table 1)
    classifier.py  backbones and their pooling heads
    fcn.py         one more backbone, FCN-4
    conditioning.py  weights and statistics of a backbone that depend on the frame rate
    network.py     the chain: front end, reduction, backbone
    weights.py     network <-> one safetensors file
    rategraph.py   the inputs of an exported graph: `fps` with a default, t computed inside
    export.py      network -> ONNX; refuses to write when the two disagree
    publish.py     network -> checkpoint folder: graph, weights, labels, card, checksums
    backend.py     runs a network where `inference/runtime.py` would run its graph

"Learning the Spectrogram Temporal Resolution for Audio Classification", Liu et al., 2022
(arXiv 2210.01719). Symbols: F mel bins, T input frames, t output frames (`output_frames` in code),
delta = (T - t) / T, s the importance row, W the t x T warp matrix.
"""

from diffres_cli.nn.diffres import DiffRes, DiffResOutput

__all__ = ["DiffRes", "DiffResOutput"]
