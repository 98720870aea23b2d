"""Predictions made by hand, with the slow references: what a tagger would return, known in every number."""

from __future__ import annotations

from functools import cache

import numpy as np
from references import rescale_loop, warp_by_overlap

from diffres_cli.inference.timing import frame_times, warp_edges
from diffres_cli.tagging.prediction import AdaptiveSpectrogram, Label, Prediction, WindowPrediction

FRAME_RATE = 100.0
FREQUENCIES = (700 * np.expm1(np.linspace(50, 3450, 32) / 1127)).astype(np.float32)  # 32 Hz to 14 kHz, mel
LABELS = (Label("Siren", "/m/03kmc9", 0.93), Label("Police car (siren)", "/m/04qvtq", 0.41))


@cache
def spectrogram(
    frames: int, output_frames: int, start: float = 0.0, seed: int = 0, even: bool = False
) -> AdaptiveSpectrogram:
    """A window of `frames` random mel frames, some silent, merged by random importance, or evenly."""
    generator = np.random.default_rng(seed)
    mel = generator.exponential(size=(len(FREQUENCIES), frames)) * (generator.random(frames) < 0.8)
    raw = np.full(frames, 0.5) if even else generator.random(frames) ** 4 + 1e-3
    importance = rescale_loop(raw, output_frames)
    return AdaptiveSpectrogram(
        mel=mel.astype(np.float32),
        merged=(mel @ warp_by_overlap(importance, output_frames).T).astype(np.float32),
        importance=importance.astype(np.float32),
        frame_times=frame_times(frames, FRAME_RATE, start),
        edges=warp_edges(
            importance.astype(np.float32), output_frames, FRAME_RATE, start, start + frames / FRAME_RATE
        ),
        mel_frequencies=FREQUENCIES,
    )


def silence(frames: int, output_frames: int) -> AdaptiveSpectrogram:
    """A window without any power."""
    nothing = np.zeros((len(FREQUENCIES), frames), np.float32)
    return AdaptiveSpectrogram(
        mel=nothing,
        merged=nothing[:, :output_frames],
        importance=np.full(frames, output_frames / frames, np.float32),
        frame_times=frame_times(frames, FRAME_RATE),
        edges=np.linspace(0, frames / FRAME_RATE, output_frames + 1),
        mel_frequencies=FREQUENCIES,
    )


def prediction(
    *views: AdaptiveSpectrogram, fps: float = 25, labels: tuple[Label, ...] = LABELS, file: str = "street.wav"
) -> Prediction:
    """A recording with these windows."""
    windows = [
        WindowPrediction(float(view.edges[0]), float(view.edges[-1]), labels, np.zeros(2, np.float32), view)
        for view in views
    ]
    duration = windows[-1].end
    return Prediction(file, duration, 44100, "audioset-small", fps, 0.1, labels, tuple(windows))
