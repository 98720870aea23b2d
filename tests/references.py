"""Slow and obvious twins of the fast maths, straight from the paper's equations, in NumPy float64.

Symbols as in the paper: F mel bins, T input frames, t output frames, s the importance, W the t x T
warp matrix. Every function takes one clip.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def rescale_loop(scores: Doubles, output_frames: int) -> Doubles:
    """Eq. 3, the division by the largest, and the refill, one frame at a time: [T] -> [T]."""
    total = sum(scores)
    scaled = [score / total * output_frames for score in scores]
    largest = max(1.0, *scaled, 1.0)
    scaled = [score / largest for score in scaled]
    missing, room = output_frames - sum(scaled), sum(1 - score for score in scaled)
    refill = missing / room if room > 0 else 0.0
    return np.array([score + (1 - score) * refill for score in scaled])


def warp_by_algorithm_1(importance: Doubles, output_frames: int) -> Doubles:
    """W by a plain double loop over Eq. 5, then Algorithm 1: [T] -> [t, T].

    Eq. 5 gives each frame whole to the row in which its cumulated importance ends. Algorithm 1 then
    walks down the rows: what a row lacks to 1 is taken from the next row's first frame.
    """
    frames = len(importance)
    # The last frame ends at t but for rounding, and belongs to the last row.
    ends = [min(math.fsum(importance[: j + 1]), output_frames) for j in range(frames)]
    warp = np.zeros((output_frames, frames))
    for i in range(output_frames):
        for j in range(frames):
            if i < ends[j] <= i + 1:
                warp[i, j] = importance[j]
    row = 0
    for j in range(frames):
        while row < output_frames - 1 and ends[j] > row + 1:
            taken = 1.0 - math.fsum(warp[row])
            warp[row, j] += taken
            warp[row + 1, j] -= taken
            row += 1
    return warp


def warp_by_shortfall(importance: Doubles, output_frames: int) -> Doubles:
    """W without a loop over frames, as in appendix A.5: [T] -> [t, T].

    With Eq. 5's matrix, row i lacks D_i in all, counted from the first row on. The first frame of
    row i + 1 hands D_i up to row i.
    """
    ends = np.cumsum(importance).clip(max=output_frames)
    rows = np.arange(output_frames)[:, None]
    warp = importance * ((ends > rows) & (ends <= rows + 1))
    shortfall = np.cumsum(1.0 - warp.sum(1))[:-1]
    boundary = np.arange(output_frames - 1)
    first_of_next = np.searchsorted(ends, boundary + 1.0, side="right")
    np.add.at(warp, (boundary, first_of_next), shortfall)
    np.add.at(warp, (boundary + 1, first_of_next), -shortfall)
    return warp


def warp_by_overlap(importance: Doubles, output_frames: int) -> Doubles:
    """W by the dense closed form, each frame's interval cut with each row's: [T] -> [t, T]."""
    ends = np.cumsum(importance)
    starts = ends - importance
    rows = np.arange(output_frames)[:, None]
    return np.maximum(0.0, np.minimum(ends, rows + 1) - np.maximum(starts, rows))


def mean_loop(frames: Doubles, warp: Doubles) -> Doubles:
    """Eq. 6: [F, T], [t, T] -> [F, t]."""
    merged = np.zeros((frames.shape[0], warp.shape[0]))
    for f, i in np.ndindex(*merged.shape):
        merged[f, i] = sum(warp[i, j] * frames[f, j] for j in range(frames.shape[1]))
    return merged


def max_loop(frames: Doubles, warp: Doubles) -> Doubles:
    """Largest weighted frame of each row, times T / t: [F, T], [t, T] -> [F, t]."""
    output_frames, length = warp.shape
    merged = np.zeros((frames.shape[0], output_frames))
    for f, i in np.ndindex(*merged.shape):
        merged[f, i] = max(warp[i, j] * frames[f, j] for j in range(length)) * length / output_frames
    return merged


def encoding_loop(channels: int, warp: Doubles) -> Doubles:
    """Section 3.3: the sinusoidal encoding of the input time, warped as the frames are: [channels, t]."""
    encoding = np.zeros((channels, warp.shape[1]))
    for channel, j in np.ndindex(*encoding.shape):
        angle = j * 10000.0 ** (-(channel - channel % 2) / channels)
        encoding[channel, j] = math.cos(angle) if channel % 2 else math.sin(angle)
    return mean_loop(encoding, warp)


def res_conv_loop(x: Doubles, state: dict[str, Any]) -> Doubles:
    """One ResConv1D block (Table 6) in evaluation mode: [in, T] -> [out, T].

    Args:
        state: conv1, bn1, conv2 and bn2 under torch's names, as arrays.
    """
    first = _batch_norm(_leaky(_convolve(x, state, "conv1")), state, "bn1")
    return _batch_norm(_leaky(_convolve(first, state, "conv2")), state, "bn2") + first


def _convolve(x: Doubles, state: dict[str, Any], name: str) -> Doubles:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    kernel = weight.shape[2]
    padded = np.pad(x, ((0, 0), (kernel // 2, kernel // 2)))
    out = np.empty((weight.shape[0], x.shape[1]))
    for o, j in np.ndindex(*out.shape):
        out[o, j] = (weight[o] * padded[:, j : j + kernel]).sum() + bias[o]
    return out


def _leaky(x: Doubles) -> Doubles:
    return np.where(x > 0, x, 0.01 * x)


def _batch_norm(x: Doubles, state: dict[str, Any], name: str) -> Doubles:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    normal = (x - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    return normal * state[f"{name}.weight"][:, None] + state[f"{name}.bias"][:, None]


def attention_loop(columns: Doubles, state: dict[str, Any], heads: int) -> tuple[Doubles, Doubles]:
    """Attention pooling, class by class: [features, t'] -> [classes], framewise [t', classes]."""
    length = columns.shape[1]
    classes = len(state["scores.bias"]) // heads
    mix = np.exp(state["mix"]) / np.exp(state["mix"]).sum()
    probabilities, framewise = np.zeros(classes), np.zeros((length, classes))
    for head, c in np.ndindex(heads, classes):
        row = head * classes + c
        attention = [_logistic(state["attention.weight"][row, :, 0], state["attention.bias"][row], column)
                     for column in columns.T]  # fmt: skip
        scores = [_logistic(state["scores.weight"][row, :, 0], state["scores.bias"][row], column)
                  for column in columns.T]  # fmt: skip
        for frame in range(length):
            probabilities[c] += mix[head] * attention[frame] / sum(attention) * scores[frame]
            framewise[frame, c] += mix[head] * scores[frame]
    return probabilities, framewise


def _logistic(weight: Doubles, bias: float, column: Doubles) -> float:
    return float(1 / (1 + math.exp(-(sum(weight * column) + bias))))


def frame_rms_loop(waveform: Doubles, frames: int, window: int, hop: int) -> Doubles:
    """The standard deviation of the samples in windows centred every hop, [B, N] -> [B, frames]."""
    found = np.zeros((len(waveform), frames))
    for clip, frame in np.ndindex(*found.shape):
        first = frame * hop - window // 2
        places = np.clip(np.arange(first, first + window), 0, waveform.shape[1] - 1)
        found[clip, frame] = waveform[clip, places].std()
    return found


def guide_loss_loop(importance: Doubles, empty: NDArray[np.bool_], output_frames: int) -> float:
    """Eq. 7 with the two corrections its docstring names, for clips [B, T]."""
    terms = []
    for clip, frame in np.ndindex(*importance.shape):
        if empty[clip, frame]:
            terms.append(max(importance[clip, frame] / (output_frames / importance.shape[1]) - 0.5, 0.0))
    return sum(terms) / len(terms) if terms else 0.0


def activeness_loop(importance: Doubles, empty: NDArray[np.bool_], output_frames: int) -> float:
    """Eq. 4 for one clip, [T]."""
    held = [s for s, silent in zip(importance, empty, strict=True) if not silent]
    return float(np.std(held, ddof=1)) / ((len(importance) - output_frames) / len(importance))


def warp_edges_loop(
    importance: Doubles, output_frames: int, frame_rate: float, start: float, end: float
) -> list[float]:
    """When each output frame begins, by walking through the frames and spending their importance."""
    edges = [start]
    for i in range(1, output_frames):
        spent = 0.0
        for j, s in enumerate(importance):
            if spent + s >= i:
                time = start + (j - 0.5 + (i - spent) / s) / frame_rate
                edges.append(min(max(time, start), end))
                break
            spent += s
    return [*edges, end]


def novelty_loop(log_mel: Doubles) -> Doubles:
    """How much each frame differs from its neighbours, one frame at a time: [F, T] -> [T]."""
    bins, frames = log_mel.shape
    inner = [
        sum(abs(float(log_mel[f, j + 1] - log_mel[f, j])) for f in range(bins)) / bins
        for j in range(frames - 1)
    ]
    steps = [inner[0], *inner, inner[-1]]
    change = [(steps[j] + steps[j + 1]) / 2 for j in range(frames)]
    near = [[change[min(max(i, 0), frames - 1)] for i in range(j - 2, j + 3)] for j in range(frames)]
    smooth = [sum(values) / 5 for values in near]
    mean = sum(smooth) / frames
    deviation = math.sqrt(sum((value - mean) ** 2 for value in smooth) / frames)
    return np.array([(value - mean) / (deviation + 1e-3) for value in smooth])
