"""What is kept and reported of a run: the best network, the checkpoint, the log, the progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities import rank_zero_only

from diffres_cli.errors import OutputError
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.nn.weights import save_network
from diffres_cli.training.module import LOSS, MAIN_METRIC, TrainingModule


@dataclass(frozen=True)
class Reporter:
    """Functions that are called during a run.

    Attributes:
        epoch: with its number and metrics, after each validation. note: with a message for the user.
        decoding: with the split, the clips done and their total. bar: show Lightning's progress bar.
    """

    epoch: Callable[[int, dict[str, float]], None]
    note: Callable[[str], None]
    decoding: Callable[[str, int, int], None] = lambda split, done, total: None
    bar: bool = False


class CheckpointWriter(lightning.Callback):
    """Writes weights.safetensors after each or the best validation, last.safetensors after each part.

    In this order: killed between the two, the run repeats the part, and finds the same network again.
    """

    def __init__(self, folder: RunFolder, keep: str, by_loss: bool) -> None:
        self.folder, self.keep, self.by_loss = folder, keep, by_loss
        self.best = -math.inf
        self.best_epoch = 0

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Keep the network if it is the best, or if the last one is wanted."""
        values = trainer.callback_metrics
        score = -float(values[LOSS]) if self.by_loss else float(values[MAIN_METRIC])
        # Where nothing can be compared, as without a class to rank, the first one is kept.
        if self.keep == "best" and not score > self.best and self.best_epoch:
            return
        self.best, self.best_epoch = score, module.epoch
        metrics = {name: float(value) for name, value in values.items() if name.startswith("validation/")}
        self._write(module, metrics)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Check the weights and save the state."""
        module.check_weights()
        with self._explain_full_disk():
            trainer.save_checkpoint(self.folder.checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """The state that a resumed run needs."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore that state."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    @rank_zero_only
    def _write(self, module: TrainingModule, metrics: dict[str, float]) -> None:
        with self._explain_full_disk():
            save_network(module.best, self.folder.weights)
            self.folder.update_facts(best={"epoch": self.best_epoch, **metrics})

    @contextmanager
    def _explain_full_disk(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            raise self.folder.disk_full(str(error).partition("; choose")[0]) from error


class SpeedLogger(lightning.Callback):
    """Logs the learning rate and how many clips a second are trained on."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._since = 0.0
        self._lr = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Restart the clock, so that validation is not counted."""
        self._since = time.perf_counter()

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Note the rate of this update: at the batch's end it is the next one's."""
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log every so many batches."""
        if (batch_idx + 1) % self.every:
            return
        clips = self.every * len(batch.waveform) * trainer.world_size / batch.weight
        elapsed, self._since = time.perf_counter() - self._since, time.perf_counter()
        module.log("train/clips_per_second", clips / elapsed)
        module.log("train/lr", self._lr)


class EpochReporter(lightning.Callback):
    """Reports each validation."""

    def __init__(self, report: Callable[[int, dict[str, float]], None]) -> None:
        self.report = report

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Report the epoch and its metrics."""
        if trainer.is_global_zero:
            values = trainer.callback_metrics.items()
            self.report(module.epoch, {name: float(value) for name, value in values})


class EpochBar(RichProgressBar):
    """Lightning's progress bar, on standard error, with epochs counted from 1."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    def get_metrics(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        """Without the version of the log, which means nothing to users."""
        shown = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in shown.items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        module: Any = self.trainer.lightning_module
        parts = module.plan.parts  # the bar is a part's
        part = f", part {current_epoch % parts + 1} of {parts}" if parts > 1 else ""
        return f"Epoch {module.epoch} of {module.recipe.training.epochs}{part}"
