"""Where frames lie in time: counts, rates, and the warp read back in seconds."""

from __future__ import annotations

import numpy as np

from diffres_cli.arrays import Floats, Seconds

MINIMUM_OUTPUT_FRAMES = 8
COLUMN_FRAMES = 32  # output frames a column of the last feature map: the classifier halves time five times


def output_frames_at(fps: float, frames: int, frame_rate: float) -> int:
    """Output frames t for T input frames at `fps` output frames per second.

    Never more than T, since DiffRes merges and does not invent; never fewer than 8 (or T), since
    the classifier halves time five times.

    Args:
        fps: output frames per second, rounded to float32 as a graph receives it. frames: T.
        frame_rate: the mel's own frames per second.

    >>> [output_frames_at(fps, frames, 100.0) for fps, frames in ((25, 1000), (100, 1000), (25, 10), (25, 3))]
    [250, 1000, 8, 3]
    """
    return min(frames, max(MINIMUM_OUTPUT_FRAMES, round(float(np.float32(fps)) * frames / frame_rate)))


def frame_times(frames: int, frame_rate: float, start: float = 0.0) -> Seconds:
    """Centres of `frames` frames, [T] s: frames are centred, so the first lies at `start`.

    >>> frame_times(3, 100.0).tolist()
    [0.0, 0.01, 0.02]
    """
    return start + np.arange(frames) / frame_rate


def warp_edges(
    importance: Floats, output_frames: int, frame_rate: float, start: float, end: float
) -> Seconds:
    """When each output frame begins and ends, [t + 1] s of the recording.

    Frame j occupies [c_(j-1), c_j] of the output's time axis (c the cumulated importance) and the
    hop around its centre of the recording's, so edge i lies where the piecewise linear c crosses i.

    Args:
        importance: [T], summing to t. output_frames: t. frame_rate: Hz. start, end: of the window, s.

    >>> warp_edges(np.array([0.5, 0.5, 1.0], np.float32), 2, 100.0, 0.0, 0.025).tolist()
    [0.0, 0.015, 0.025]
    """
    spent = np.concatenate([[0.0], np.cumsum(importance, dtype=np.float64)])
    frame_edges = start + (np.arange(len(importance) + 1) - 0.5) / frame_rate
    edges = np.interp(np.arange(output_frames + 1), spent, frame_edges)
    edges[0], edges[-1] = start, end
    return np.maximum.accumulate(np.clip(edges, start, end))


def column_times(edges: Seconds, columns: int) -> Seconds:
    """When each column of the classifier's last feature map begins and ends, [t' + 1] s of the recording.

    Column k covers output frames 32 k to 32 k + 31, the last what remains.

    Args:
        edges: [t + 1], of the output frames, as `warp_edges` gives them. columns: t' = ceil(t / 32).

    >>> column_times(np.linspace(0.0, 1.0, 101), 4).tolist()
    [0.0, 0.32, 0.64, 0.96, 1.0]
    """
    return edges[np.minimum(COLUMN_FRAMES * np.arange(columns + 1), len(edges) - 1)]
