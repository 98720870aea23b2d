"""The command line: one file per command; each parses, makes one call and prints.

main.py      exit codes, one-line errors, interrupts and closed pipes
console.py   standard output and standard error
options.py   options several commands share
config.py    where settings come from: flag, variable, diffres.toml or default
inputs.py    what was typed -> the recordings to tag
progress.py  the bar on a terminal
folder.py    tag into a folder, or into one resumable file
tag.py  viz.py  models.py  export.py
"""
