"""LEAF's sPCEN: per-channel energy normalisation, learned smoothing (Zeghidour et al. 2021, Section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLOOR = 1e-12
# Doubling reaches 2^20 frames, three hours at 100 fps: an exported graph cannot count its own frames.
EXPORTED_STEPS = 20


class SmoothedPCEN(nn.Module):
    """(E / (floor + M)^alpha + delta)^(1 / root) - delta^(1 / root), M a moving average of E.

    M[0] = E[0], M[n] = s E[n] + (1 - s) M[n - 1]. Each of F channels learns its own s, alpha, delta
    and root, kept in 0 <= s <= 1, alpha <= 1, root >= 1 and delta > 0, without which a root is NaN.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((channels, 1), 0.96))
        self.delta = nn.Parameter(torch.full((channels, 1), 2.0))
        self.root = nn.Parameter(torch.full((channels, 1), 2.0))
        self.smooth = nn.Parameter(torch.full((channels, 1), 0.04))

    def forward(self, energy: Tensor) -> Tensor:
        """Energy [B, F, T], positive -> [B, F, T], not negative."""
        average = moving_average(energy, self.smooth.clamp(0.0, 1.0))
        delta = self.delta.clamp_min(1e-6)
        exponent = 1.0 / self.root.clamp_min(1.0)
        gain = (FLOOR + average) ** -self.alpha.clamp_max(1.0)
        # The difference of the two roots, without losing a quiet frame's digits to it.
        return delta**exponent * (exponent * (energy * gain / delta).log1p()).expm1()


def moving_average(values: Tensor, smooth: Tensor) -> Tensor:
    """M[0] = x[0], M[n] = s x[n] + (1 - s) M[n - 1]: [B, F, T], [F, 1] -> [B, F, T].

    Not T steps but log2(T): a sum over the last 2^k frames, weighed by powers of 1 - s, and the same
    sum 2^k frames earlier, weighed once more, are the sum over the last 2^(k + 1) frames.
    """
    frames = values.shape[2]
    exported = isinstance(frames, torch.SymInt)
    steps = EXPORTED_STEPS if exported else (frames - 1).bit_length()
    total = torch.cat([values.narrow(2, 0, 1), smooth * values.narrow(2, 1, frames - 1)], dim=2)
    decay = 1.0 - smooth
    for k in range(steps):
        shift = torch.sym_min(2**k, frames)  # type: ignore[no-untyped-call]
        earlier = total.narrow(2, 0, frames - shift)
        silence = total.new_zeros(total.shape[0], total.shape[1], shift)
        total = total + decay * torch.cat([silence, earlier], dim=2)
        decay = decay * decay
    return total
