"""What `bench/frontend.py` times: ways to mel power, and the stages of the shipped model.

The ways go from waveform [B, N] to mel power [B, F, T]. Each differs from `diffres_cli.nn.frontends.mel` in
one thing; the framing, the window and the filters are its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL as CONFIG
from diffres_cli.nn.diffres import DiffRes
from diffres_cli.nn.frontends.dft import PowerSpectrum
from diffres_cli.nn.frontends.mel import FilterGroup, MelSpectrogram, filter_groups, mel_filters
from diffres_cli.nn.importance import rescale
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.warp import merge_max, merge_mean, overlaps, resolution_encoding

Floats = NDArray[np.float32]
HALF = CONFIG.window // 2
WINDOW = np.hanning(CONFIG.window)  # symmetric, as the configuration asks
ANGLES = 2 * np.pi / CONFIG.fft * np.arange(CONFIG.fft // 2)  # of each bin, per sample


class Direct(MelSpectrogram):
    """The DFT as one matrix product with the frames, 800 x 1,024; dense mel filters, as all below."""

    kernels: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__(CONFIG)
        phase = np.outer(ANGLES, np.arange(CONFIG.window))
        kernels = np.concatenate([np.cos(phase), np.sin(phase)]) * WINDOW
        self.register_buffer("kernels", torch.from_numpy(kernels).float())
        self.register_buffer("filters", mel_filters(CONFIG))

    def forward(self, waveform: Tensor) -> Tensor:
        """[B, N] -> [B, F, T]."""
        return self.mel(self.kernels @ self.frames(waveform))

    def frames(self, waveform: Tensor) -> Tensor:
        """[B, N] -> [B, window, T]."""
        return self._frames(self.prepared(waveform))[:, : CONFIG.window]

    def mel(self, spectrum: Tensor) -> Tensor:
        """Real parts above imaginary ones, [B, 2 bins, T] -> [B, F, T]."""
        real, imaginary = spectrum.chunk(2, 1)
        return self.filters @ (real * real + imaginary * imaginary)


class Convolution(Direct):
    """The same product as a strided convolution of the signal: no frames in memory."""

    def forward(self, waveform: Tensor) -> Tensor:
        """[B, N] -> [B, F, T]."""
        signal = pad(self.prepared(waveform), (HALF, HALF), mode="reflect")
        return self.mel(conv1d(signal[:, None], self.kernels[:, None], stride=CONFIG.hop))


class Folded(Direct):
    """Even and odd halves around the window's centre: half the work, since power is blind to the phase.

    The centre lies between two samples, so sample m on either side is at m + 1/2.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self) -> None:
        super().__init__()
        phase = np.outer(ANGLES, np.arange(HALF) + 0.5)
        for name, wave in (("cosines", np.cos(phase)), ("sines", np.sin(phase))):
            self.register_buffer(name, torch.from_numpy(wave * WINDOW[HALF:]).float())

    def forward(self, waveform: Tensor) -> Tensor:
        """[B, N] -> [B, F, T]."""
        frames = self.frames(waveform)
        before, after = frames[:, :HALF].flip(1), frames[:, HALF:]
        real, imaginary = self.cosines @ (after + before), self.sines @ (after - before)
        return self.filters @ (real * real + imaginary * imaginary)


class Factorised(MelSpectrogram):
    """The shipped form, with other radices or dense mel filters."""

    def __init__(self, *split: int, dense: bool = False) -> None:
        super().__init__(CONFIG)
        self.spectrum = PowerSpectrum(WINDOW, split)
        bins, filters = self.spectrum.bins, mel_filters(CONFIG).numpy()
        everything = FilterGroup(0, bins.shape[1], filters[:, bins.flatten()])
        self.groups = [everything] if dense else filter_groups(filters, bins)
        for i, group in enumerate(self.groups):
            self.register_buffer(f"filters{i}", torch.from_numpy(group.weights), persistent=False)


class StftOperator(Direct):
    """ONNX's STFT operator."""

    def forward(self, waveform: Tensor) -> Tensor:
        """[B, N] -> [B, F, T]."""
        signal = pad(self.prepared(waveform), (CONFIG.fft // 2, CONFIG.fft // 2), mode="reflect")
        window = torch.from_numpy(WINDOW).float()
        spectrum = torch.stft(
            signal, CONFIG.fft, CONFIG.hop, CONFIG.window, window, center=False, return_complex=False
        )
        return self.filters @ spectrum[:, :-1].square().sum(-1)


class DftOperator(Direct):
    """ONNX's DFT operator on frames."""

    def forward(self, waveform: Tensor) -> Tensor:
        """[B, N] -> [B, F, T]."""
        frames = self.frames(waveform).transpose(1, 2) * torch.from_numpy(WINDOW).float()
        spectrum = torch.view_as_real(torch.fft.rfft(frames, CONFIG.fft))
        return self.filters @ spectrum[:, :, :-1].square().sum(-1).transpose(1, 2)


class MelOfPower(nn.Module):
    """What is left in the graph when the FFT is outside: power [B, T, bins] -> mel power [B, F, T]."""

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(CONFIG))

    def forward(self, power: Tensor) -> Tensor:
        """[B, T, bins] -> [B, F, T]."""
        return self.filters @ power.transpose(1, 2)


def power_outside(waveform: Floats, rfft: Callable[..., NDArray[np.complex64]]) -> Floats:
    """[B, N] -> power [B, T, bins] in NumPy, with an FFT of choice."""
    signal = waveform[:, 1:] - np.float32(CONFIG.pre_emphasis) * waveform[:, :-1]
    signal = np.pad(signal, ((0, 0), (HALF, HALF)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(signal, CONFIG.window, axis=1)[:, :: CONFIG.hop]
    spectrum = rfft(frames * WINDOW.astype(np.float32), CONFIG.fft, axis=2)[..., :-1]
    return spectrum.real**2 + spectrum.imag**2


def numpy_fft(waveform: Floats) -> Floats:
    return power_outside(waveform, np.fft.rfft)  # type: ignore[arg-type]  # single precision since NumPy 2


def scipy_fft(waveform: Floats) -> Floats:
    return power_outside(waveform, scipy.fft.rfft)


class Importance(nn.Module):
    """Mel power -> importance logits, the logarithm included."""

    def __init__(self, network: DiffResNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor) -> Tensor:
        """[B, F, T] -> [B, T]."""
        assert isinstance(self.network.reduction, DiffRes)
        return self.network.reduction.logits(mel)


class Warp(nn.Module):
    """Mel power and importance logits -> what the classifier sees, [B, 3, F, t]."""

    def __init__(self, network: DiffResNetwork) -> None:
        super().__init__()
        self.log = network.front_end.log

    def forward(self, mel: Tensor, logits: Tensor, slots: Tensor) -> Tensor:
        """[B, F, T], [B, T], [t] -> [B, 3, F, t]."""
        t = slots.shape[0]
        where = overlaps(rescale(logits.sigmoid(), t), t)
        encoding = resolution_encoding(where, mel.shape[1])
        return torch.stack([self.log(merge_mean(mel, where)), self.log(merge_max(mel, where)), encoding], 1)


class FrontEnd(nn.Module):
    """Waveform -> what the classifier sees, in one graph."""

    def __init__(self, network: DiffResNetwork) -> None:
        super().__init__()
        self.mel, self.importance, self.warp = network.front_end, Importance(network), Warp(network)

    def forward(self, waveform: Tensor, slots: Tensor) -> Tensor:
        """[B, N], [t] -> [B, 3, F, t]."""
        mel = self.mel(waveform)
        features: Tensor = self.warp(mel, self.importance(mel), slots)
        return features


class Backbone(nn.Module):
    """What the classifier sees -> probabilities."""

    def __init__(self, network: DiffResNetwork) -> None:
        super().__init__()
        self.backbone = network.backbone

    def forward(self, features: Tensor) -> Tensor:
        """[B, 3, F, t] -> [B, classes]."""
        probabilities: Tensor = self.backbone(features)[0]
        return probabilities


class Product(nn.Module):
    """One matrix product."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, rows: Tensor) -> Tensor:
        """[B, n, depth] -> [B, n, width]."""
        return rows @ self.weights
