"""The command line: one file per command; each parses, makes one call and prints.

main.py      exit codes, one-line errors, interrupts and closed pipes
options.py   options several commands share
tag.py  viz.py  models.py  export.py
"""

from diffres_cli.cli.main import main

__all__ = ["main"]
