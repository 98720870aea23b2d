"""The command line: one file per command; each parses, makes one call and prints.

main.py      exit codes, one-line errors, interrupts and closed pipes
group.py     the commands by name, each imported when it is called
console.py   standard output and standard error
options.py   options several commands share
config.py    where settings come from: flag, variable, diffres.toml or default; `diffres config`
inputs.py    what was typed -> the recordings to tag
progress.py  progress bars on a terminal: of recordings, of steps
report.py    what a tagging run prints: progress, stops, failures
runs.py      a plan, an engine and results for diffres tag
tag.py       diffres tag
viz.py       diffres viz
train.py     diffres train
evaluate.py  diffres eval
compare.py   diffres compare
export.py    diffres export
models.py    diffres models
data.py      diffres data
"""
