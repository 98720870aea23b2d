"""One cell: trained, or gone on with, then tested. A process of its own, which ends when its parent does.

    python -m diffres_cli.comparison.worker ORDER

What it says goes to standard error, its last line being what went wrong. It takes its cell's lock first: a
process that outlives a killed parent for a moment, or that of another comparison, is waited for.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from diffres_cli.comparison.child import serve, tell
from diffres_cli.comparison.state import CellFolder
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.files import write_atomically
from diffres_cli.locks import locked
from diffres_cli.recipes.files import read_recipe


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes:
        folder: the cell's. root: its dataset's folder; "" for the usual one. rates: to be tested at.
        device: auto, cpu or cuda.
    """

    folder: str
    root: str
    rates: tuple[float, ...]
    device: str = "auto"

    def text(self) -> str:
        """As a command line holds it."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> Order:
        """What `text` wrote."""
        return Order(**json.loads(text))


def work(order: Order) -> None:
    """Do what remains to be done of a cell.

    Raises:
        DiffresError: it cannot be trained or tested.
    """
    folder = CellFolder(Path(order.folder))
    with locked(folder.lock):
        if not folder.trained():
            _train(folder, order)
        if not folder.parameters():
            _count(folder)
        if folder.missing_rates(order.rates):
            _evaluate(folder, order)


def _train(folder: CellFolder, order: Order) -> None:
    from diffres_cli.training import fit
    from diffres_cli.training.callbacks import Reporter
    from diffres_cli.training.launch import Hardware

    recipe = read_recipe(folder.recipe)
    reporter = Reporter(_tell_epoch, tell)
    hardware = Hardware(order.device)
    root = Path(order.root) if order.root else None
    if RunFolder(folder.run).facts.exists():
        folder.refuse_other_recipe(recipe)
        command = ["diffres", "train", "--resume", str(folder.run)]
        fit.resume(folder.run, command, hardware, reporter, root)
        return
    shutil.rmtree(folder.run, ignore_errors=True)  # it was killed before it began
    placed = recipe.changed({"data.root": order.root}, "")
    command = ["diffres", "train", "--recipe", str(folder.recipe), "-o", str(folder.run)]
    fit.train(placed, folder.run, command, hardware, reporter)


def _count(folder: CellFolder) -> None:
    """Write down how many parameters each part of the network has."""
    from diffres_cli.nn.weights import load_network

    network = load_network(RunFolder(folder.run).weights, read_recipe(folder.recipe).model.import_paths)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    write_atomically(folder.sizes, json.dumps(sizes).encode())


def _evaluate(folder: CellFolder, order: Order) -> None:
    """Test it at the rates that are missing, and those it was tested at before."""
    from diffres_cli.evaluation.job import evaluate_all
    from diffres_cli.evaluation.provenance import environment
    from diffres_cli.evaluation.subjects import Request, subjects

    held = folder.evaluation()
    rates = {*order.rates, *(rate["fps"] for rate in held["rates"])} if held else order.rates
    root = Path(order.root) if order.root else None
    request = Request((folder.run,), root=root, fps=tuple(sorted(rates)), device=order.device, offline=True)
    command = ["diffres", "eval", str(folder.run), "--fps", ",".join(f"{rate:g}" for rate in request.fps)]
    tested = subjects(request)
    for subject, evaluation in zip(tested, evaluate_all(request, tested), strict=True):
        if subject.run:
            subject.run.write_evaluation(environment(shlex.join(command)) | evaluation.plain())


def _tell_epoch(epoch: int, values: dict[str, float]) -> None:
    shown = ", ".join(
        f"{name.removeprefix('validation/')} {value:.4f}" for name, value in values.items() if "@" in name
    )
    tell(f"epoch {epoch}: {shown}")


if __name__ == "__main__":
    serve(lambda order: work(Order.read(order)))
