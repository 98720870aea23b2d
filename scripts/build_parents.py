"""Build checkpoints/audioset-small/parents.csv, which labels stand above which, from AudioSet's ontology.

    python scripts/build_parents.py ontology.json

The JSON is that of https://github.com/audioset/ontology (Google LLC, CC BY-SA 4.0). Its classes that are no
labels stay in the table, as links between those that are. `scripts/build_audioset_small.py` ships the table.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

from diffres_cli.checkpoint.find import PARENTS_NAME
from diffres_cli.checkpoint.parents import HEADER
from diffres_cli.files import write_atomically

TARGET = Path(__file__).parent.parent / "checkpoints" / "audioset-small" / PARENTS_NAME


def main(source: Path) -> None:
    classes = json.loads(source.read_text("utf-8"))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((child, each["id"]) for each in classes for child in each["child_ids"])
    write_atomically(TARGET, table.getvalue().encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
