"""Front ends as their papers define them, in plain loops over float64: one waveform [N] -> [F, T]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffres_cli.checkpoint.frontend import MelConfig

Array = NDArray[np.float64]
Parameters = dict[str, Array]


def prepared(waveform: Array, config: MelConfig) -> list[float]:
    """Zeros up to the minimum, then pre-emphasis."""
    signal = [*waveform.tolist(), *[0.0] * (config.minimum_samples - len(waveform))]
    if config.pre_emphasis:
        signal = [signal[n + 1] - config.pre_emphasis * signal[n] for n in range(len(signal) - 1)]
    return signal


def filtered(signal: list[float], kernel: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """A filter's response at every sample, silence beyond the ends."""
    middle = len(kernel) // 2
    response = np.zeros(len(signal), dtype=np.complex128)
    for n in range(len(signal)):
        for k, weight in enumerate(kernel):
            if 0 <= n + k - middle < len(signal):
                response[n] += weight * signal[n + k - middle]
    return response


def around(values: Array, size: int, hop: int) -> list[list[float]]:
    """The `size` values around every hop, zeros beyond the ends."""
    places = [range(i - size // 2, i - size // 2 + size) for i in range(0, len(values) + 1, hop)]
    return [[float(values[n]) if 0 <= n < len(values) else 0.0 for n in each] for each in places]


def leaf(waveform: Array, config: MelConfig, learned: Parameters) -> Array:
    """Zeghidour et al. 2021, Sections 3.1 to 3.3."""
    signal, size = prepared(waveform, config), config.window
    rows = []
    for f in range(config.mel_bins):
        centre, width = learned["centres"][f], learned["widths"][f]
        time = np.arange(size) - size // 2
        gauss = np.exp(-(time**2) / (2 * width**2)) / (np.sqrt(2 * np.pi) * width)
        power = np.abs(filtered(signal, gauss * np.exp(1j * centre * time))) ** 2
        half = (size - 1) / 2
        window = np.exp(-0.5 * ((np.arange(size) - half) / (learned["pooling"][f, 0] * half)) ** 2)
        energy = [max(float(np.dot(window, piece)), 1e-5) for piece in around(power, size, config.hop)]
        rows.append(pcen(energy, *(learned[f"pcen.{name}"][f, 0] for name in PCEN)))
    return np.array(rows)


PCEN = ("smooth", "alpha", "delta", "root")


def pcen(energy: list[float], smooth: float, alpha: float, delta: float, root: float) -> list[float]:
    """One channel, frame after frame."""
    average, values = energy[0], []
    alpha, root = min(alpha, 1.0), max(root, 1.0)
    for each in energy:
        average = smooth * each + (1 - smooth) * average
        values.append((each / (1e-12 + average) ** alpha + delta) ** (1 / root) - delta ** (1 / root))
    return values


def sincnet(waveform: Array, config: MelConfig, learned: Parameters) -> Array:
    """Ravanelli and Bengio 2018, Section 2, and what leaf-audio puts after it, leaky ReLU included."""
    signal, size, rate = prepared(waveform, config), config.window, config.sample_rate
    rows = []
    for f in range(config.mel_bins):
        low = 50.0 + abs(learned["low"][f])
        high = min(low + 50.0 + abs(learned["band"][f]), rate / 2)
        seconds = (np.arange(size) - size // 2) / rate
        low_pass = [2 * cut * np.sinc(2 * cut * seconds) for cut in (low, high)]
        kernel = (low_pass[1] - low_pass[0]) / np.max(low_pass[1] - low_pass[0])
        hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(size) / size)
        response = filtered(signal, kernel * hamming).real
        response = np.where(response > 0, response, 0.2 * response)
        rows.append([max(*piece, 1e-5) for piece in around(response, size, config.hop)])
    return np.array(rows)


def td_filterbanks(waveform: Array, config: MelConfig, learned: Parameters) -> Array:
    """Zeghidour et al. 2018, Section 2, but for the logarithm."""
    signal, size, count = prepared(waveform, config), config.window, config.mel_bins
    period = size - size % 2  # the window peaks at tap size // 2
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / period)) ** 2
    rows = []
    for f in range(count):
        kernel = learned["kernels"][f] + 1j * learned["kernels"][count + f]
        power = np.abs(filtered(signal, kernel)) ** 2
        rows.append([float(np.dot(window, piece)) for piece in around(power, size, config.hop)])
    return np.array(rows)


def stft(waveform: Array, config: MelConfig, learned: Parameters) -> Array:
    """Power of every DFT bin of Hann windows of a mirrored signal."""
    signal = prepared(waveform, config)
    return np.array([spectrum(signal, i, config) for i in range(0, len(signal) + 1, config.hop)]).T


def trainable_stft(waveform: Array, config: MelConfig, learned: Parameters) -> Array:
    """Power of each learned wave, a real row and an imaginary one, over windows of a mirrored signal."""
    signal, count = prepared(waveform, config), config.mel_bins
    rows = np.zeros((count, len(signal) // config.hop + 1))
    for i in range(rows.shape[1]):
        first = i * config.hop - config.window // 2
        frame = np.array([mirror(signal, first + k) for k in range(config.window)])
        for f in range(count):
            rows[f, i] = (learned["kernels"][f] @ frame) ** 2 + (learned["kernels"][count + f] @ frame) ** 2
    return rows


def at(waveform: Array, config: MelConfig, output_frames: int) -> Array:
    """The linear spectrum where `output_frames` frames share what the frames of one hop cover."""
    signal = prepared(waveform, config)
    frames = len(signal) // config.hop + 1
    exact = [i * frames / output_frames * config.hop for i in range(output_frames)]
    centres = [min(int(np.floor(place + 0.5)), len(signal)) for place in exact]
    return np.array([spectrum(signal, centre, config) for centre in centres]).T


def spectrum(signal: list[float], centre: int, config: MelConfig) -> list[float]:
    """Power of the bins of one window."""
    n, period = np.arange(config.window), config.window - (not config.periodic)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / period)
    frame = window * np.array([mirror(signal, centre - config.window // 2 + int(k)) for k in n])
    waves = (np.exp(-2j * np.pi * k * n / config.fft) for k in range(config.fft // 2))
    return [abs((frame * wave).sum()) ** 2 for wave in waves]


def cqt(waveform: Array, config: MelConfig, learned: Parameters) -> Array:
    """Brown 1991 with nnAudio's scaling: power of a windowed wave of Q periods for each bin."""
    signal = prepared(waveform, config)
    per_octave = config.mel_bins / np.log2(config.high / config.low)
    quality = 1 / (2 ** (1 / per_octave) - 1)
    rows = []
    for f in range(config.mel_bins):
        pitch = config.low * 2 ** (f / per_octave)
        length = int(np.ceil(quality * config.sample_rate / pitch))
        window = [0.5 - 0.5 * np.cos(2 * np.pi * n / length) for n in range(length)]
        wave = [np.exp(2j * np.pi * pitch * n / config.sample_rate) for n in range(length)]
        start = -((length + 1) // 2)
        row = []
        for centre in range(0, len(signal) + 1, config.hop):
            pieces = [window[n] * wave[n] * mirror(signal, centre + start + n) for n in range(length)]
            row.append(length * abs(sum(pieces) / sum(window)) ** 2)
        rows.append(row)
    return np.array(rows)


def mirror(signal: list[float], place: int) -> float:
    """A signal that goes back and forth, its end samples not repeated."""
    last = len(signal) - 1
    return signal[min(abs(place), 2 * last - abs(place))]
