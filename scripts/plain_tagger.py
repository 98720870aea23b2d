"""audioset-small step by step in float64, of torch and torchaudio alone: what its fixture is made with.

Nothing of the product's front end, DiffRes or conditioning is used, but the layers that weights belong to.
Symbols as in the paper: F mel bins, T input frames, t output frames, W the t x T warp matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, pad
from torchaudio.compliance.kaldi import get_mel_banks

from diffres_cli.nn.classifier import MobileNetClassifier
from diffres_cli.nn.importance import ImportanceNetwork

Numbers = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)
RATE, WINDOW, HOP, FFT, BINS, HIGH = 32_000, 800, 320, 1024, 128, 15_000.0


def plain_scores(weights: Numbers, waveform: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """A waveform [N] at 32 kHz -> probabilities [classes] and importance [T].

    Args:
        weights: a conditioned network's, by name, whose anchor is full rate alone.
    """
    mel = mel_power(waveform.double())
    frames = mel.shape[1]
    count = min(frames, max(8, round(fps * frames / (RATE / HOP))))
    importance = rescaled(torch.sigmoid(logits(weights, log(mel))), count)
    warp = overlaps(importance, count)
    mean = mel @ warp.T
    largest = torch.stack([(row * mel).amax(1) for row in warp], 1) * frames / count
    features = torch.stack([log(mean), log(largest), encoding(frames) @ warp.T])
    return probabilities(weights, features[None], math.log(RATE / HOP / fps, 4)), importance


def mel_power(waveform: Tensor) -> Tensor:
    """[N] -> [F, T]."""
    signal = pad(waveform, (0, max(0, RATE // 2 - len(waveform))))
    signal = signal[1:] - 0.97 * signal[:-1]
    window = torch.hann_window(WINDOW, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(signal, FFT, HOP, WINDOW, window, pad_mode="reflect", return_complex=True)
    filters, _ = get_mel_banks(BINS, FFT, RATE, 0.0, HIGH, 100.0, -500.0, 1.0)
    power: Tensor = filters.double() @ spectrum[:-1].abs() ** 2
    return power


def log(power: Tensor) -> Tensor:
    return (torch.log(power + 1e-5) + 4.5) / 5


def logits(weights: Numbers, log_mel: Tensor) -> Tensor:
    """The paper's network plus the weight of novelty times novelty: [F, T] -> [T]."""
    network = loaded(ImportanceNetwork(BINS), weights, "importance.")
    change = pad((log_mel[:, 1:] - log_mel[:, :-1]).abs().mean(0)[None], (1, 1), mode="replicate")
    around = avg_pool1d(change, 2, 1)
    smooth = avg_pool1d(pad(around, (2, 2), mode="replicate"), 5, 1)[0]
    novelty = (smooth - smooth.mean()) / (smooth.std(correction=0) + 1e-3)
    scores: Tensor = network(log_mel[None])[0]
    return scores + weights["importance.novelty_weight"].double() * novelty


def rescaled(scores: Tensor, count: int) -> Tensor:
    """Eq. 3 with its refill: [T] -> [T], which add up to t."""
    scaled = scores / scores.sum() * count
    scaled = scaled / scaled.max().clamp_min(1)
    room = (1 - scaled).sum()
    return scaled + (1 - scaled) * ((count - scaled.sum()) / room if room > 0 else 0)


def overlaps(importance: Tensor, count: int) -> Tensor:
    """W: how much of each frame's interval lies in each row's, [t, T]."""
    ends, rows = importance.cumsum(0), torch.arange(count)[:, None]
    return (torch.minimum(ends, rows + 1) - torch.maximum(ends - importance, rows)).clamp_min(0)


def encoding(frames: int) -> Tensor:
    """Sine and cosine of the input time, [F, T]."""
    speeds = 10_000.0 ** (-torch.arange(0, BINS, 2, dtype=torch.float64) / BINS)
    angles = speeds[:, None] * torch.arange(frames)
    return torch.stack([angles.sin(), angles.cos()], 1).flatten(0, 1)


def probabilities(weights: Numbers, features: Tensor, r: float) -> Tensor:
    """What a plain MobileNetV3 with the weights W0 + r dW makes of [1, 3, F, t]."""
    plain = {name: values.double() for name, values in weights.items() if name.startswith("backbone.")}
    for name, delta in weights.items():
        if name.startswith("conditioning.delta."):
            plain["backbone." + name.removeprefix("conditioning.delta.")] += r * delta.double()
    classes = len(plain["backbone.classifier.3.bias"])
    network = loaded(MobileNetClassifier(classes, 0.4), plain, "backbone.")
    scores: Tensor = network.classifier(network.features(features).mean((2, 3)))
    return scores[0].sigmoid()


def loaded(network: Network, weights: Numbers, prefix: str) -> Network:
    """A network in float64 with the weights whose names begin with `prefix`."""
    own = {name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
    network.load_state_dict({name: own[name] for name in network.state_dict() if name in own}, strict=False)
    return network.double().eval()
