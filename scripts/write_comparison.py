"""Write docs/comparison.md, and its figures, from folders that `diffres compare` filled.

    python scripts/write_comparison.py OUT [--write]

OUT holds the folders arabic, esc10 and figure5, each the -o of the plans of that name. Tables and figures are
made anew from the cells; what we conclude is in scripts/comparison_conclusions.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from diffres_cli.comparison.checks import load_plan
from diffres_cli.comparison.markup import markdown
from diffres_cli.comparison.report import write_report

ROOT = Path(__file__).resolve().parents[1]
TARGET, IMAGES = ROOT / "docs" / "comparison.md", ROOT / "docs" / "images"
CONCLUSIONS = ROOT / "scripts" / "comparison_conclusions.md"
DATA = {
    "arabic": "arabic-speechcommands=DIR",
    "esc10": "esc10=DIR",
}
# A plan, the folder it lies in, and a name for its figure.
PLANS = {
    "arabic-table1": "arabic",
    "esc10-table1": "esc10",
    "arabic-table2": "arabic",
    "arabic-figure8": "arabic",
    "arabic-figure6": "arabic",
    "arabic-figure7": "arabic",
    "figure5": "figure5",
}
TEXT = """# DiffRes beside its rivals

Written by `python scripts/write_comparison.py OUT --write` from the cells that these commands made:

```sh
{commands}
```

Machine: {machine}. Data: Arabic Speech Commands (Ghandoura, Hjabo and Al Dakkak, 2021, CC BY 4.0; official
splits, tested on the 2,400 clips of the test split) and ESC-10 (K. J. Piczak, CC BY 3.0; five-fold
cross-validation). What a cell is trained with is in `diffres_cli/comparison/plans/` and under each table.
Budgets are
small and the same for every row: the tables compare reductions with each other, not with the paper's, whose
networks are larger and are trained up to twenty times as long on other data. [compare.md](compare.md) says
how to run a plan.

{conclusions}
{sections}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name} and its figures")
    options = parser.parse_args()
    sections = "\n".join(section(plan, options.out / folder, options.write) for plan, folder in PLANS.items())
    text = TEXT.format(
        commands="\n".join(command(plan, folder) for plan, folder in PLANS.items()),
        machine="; ".join(sorted(set(machines(options.out)))) or platform.machine(),
        conclusions=CONCLUSIONS.read_text("utf-8"),
        sections=sections,
    )
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


def command(plan: str, folder: str) -> str:
    data = f" --data {DATA[folder]}" if folder in DATA else ""
    return f"diffres compare {plan} -o runs/{folder}{data}"


def section(name: str, folder: Path, write: bool) -> str:
    plan, cells = load_plan(name)
    table = write_report(plan, cells, folder)
    if table is None:
        return f"## {plan.title}\n\nNot run.\n"
    title, _, rest = markdown(table).partition("\n\n")
    figure = folder / f"{name}.png"
    if not figure.exists():
        return f"## {title.strip('*')}\n\n{rest}"
    if write:
        shutil.copy(figure, IMAGES / figure.name)
    return f"## {title.strip('*')}\n\n![{title.strip('*')}](images/{figure.name})\n\n{rest}"


def machines(out: Path) -> Iterator[str]:
    """What the runs say they ran on."""
    for path in out.glob("*/cells/*/run/run.json"):
        facts = json.loads(path.read_text("utf-8"))
        yield str(facts["machine"])


if __name__ == "__main__":
    main()
