"""The command line: one file per command; each parses, makes one call and prints.

main.py      exit codes, one-line errors, interrupts and closed pipes
console.py   standard output and standard error
options.py   options several commands share
progress.py  the bar on a terminal
tag.py  viz.py  models.py  export.py
"""
