"""What is kept of a run while it runs: the best network, the last state, the log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.utilities import rank_zero_only

from diffres_cli.errors import OutputError
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.nn.weights import save_network
from diffres_cli.training.module import LOSS, MAIN_METRIC, TrainingModule


class Keeper(lightning.Callback):
    """Writes weights.safetensors when validation says so, and last.safetensors at the end of each leg.

    In this order: killed between the two, the run repeats the leg, and finds the same network again.
    """

    def __init__(self, folder: RunFolder, keep: str, by_loss: bool) -> None:
        self.folder, self.keep, self.by_loss = folder, keep, by_loss
        self.best = -math.inf
        self.best_epoch = 0

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Keep the network if it is the best, or if the last one is wanted."""
        if trainer.sanity_checking:
            return
        values = trainer.callback_metrics
        score = -float(values[LOSS]) if self.by_loss else float(values[MAIN_METRIC])
        # Where nothing can be compared, as without a class to rank, the first one is kept.
        if self.keep == "best" and not score > self.best and self.best_epoch:
            return
        self.best, self.best_epoch = score, module.epoch
        self._write(
            module, {name: float(value) for name, value in values.items() if name.startswith("validation/")}
        )

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Save the state, if it is one worth going on with."""
        module.refuse_ruin()
        with self._told_how_to_go_on():
            trainer.save_checkpoint(self.folder.checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was saved."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    @rank_zero_only
    def _write(self, module: TrainingModule, metrics: dict[str, float]) -> None:
        with self._told_how_to_go_on():
            save_network(module.best, self.folder.weights)
            self.folder.update_facts(best={"epoch": self.best_epoch, **metrics})

    @contextmanager
    def _told_how_to_go_on(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            raise self.folder.disk_full(str(error).partition("; choose")[0]) from error


class Meter(lightning.Callback):
    """Logs the learning rate and how many clips a second are trained on."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._since = 0.0
        self._lr = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Start the clock anew: validation is not counted."""
        self._since = time.perf_counter()

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Note the rate of this update: at the batch's end it is the next one's."""
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log now and then."""
        if (batch_idx + 1) % self.every:
            return
        clips = self.every * len(batch.waveform) * trainer.world_size / batch.weight
        elapsed, self._since = time.perf_counter() - self._since, time.perf_counter()
        module.log("train/clips_per_second", clips / elapsed)
        module.log("train/lr", self._lr)


class Teller(lightning.Callback):
    """Calls back at the end of each epoch, with what to tell a person."""

    def __init__(self, tell: Any) -> None:
        self.tell = tell

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Tell the epoch and its metrics."""
        if not trainer.sanity_checking and trainer.is_global_zero:
            self.tell(module.epoch, {name: float(value) for name, value in trainer.callback_metrics.items()})
