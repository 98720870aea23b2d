"""Clips a second from waveform to probabilities, each front end and reduction at each frame rate (Figure 5).

    python bench/throughput.py [--device cpu] [--threads 1] [--out runs/figure5]

Measures the cells of the plan `figure5` one after the other, all of them in each of several rounds, and
prints the table; ratios are to mel at 100 fps in the same round. `diffres compare figure5` does the
same. What was measured before is read back: name another folder to measure anew. docs/comparison.md has
table and figure.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from diffres_cli.comparison.checks import load_plan
from diffres_cli.comparison.markup import markdown
from diffres_cli.comparison.report import write_report
from diffres_cli.comparison.run import PlanSummary, RunOptions, run_plan, worker_environment

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU such as cuda:0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "figure5")
    options = parser.parse_args()
    plan, cells = load_plan("figure5")
    workers = [worker_environment(options.device, options.threads)]
    where = RunOptions(
        options.out,
        device=options.device.partition(":")[0],
        workers=workers,
        log=partial(print, file=sys.stderr),
    )
    run_plan(plan, cells, where, PlanSummary())
    table = write_report(plan, cells, options.out)
    print(markdown(table) if table else "nothing was measured")


if __name__ == "__main__":
    main()
