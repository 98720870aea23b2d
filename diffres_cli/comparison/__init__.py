"""Many settings of a model against each other: a plan -> trained and tested cells -> the paper's tables.

    paper.py       the paper's own figures, for data of the same name
    plan.py        a plan as TOML: axes, grids, variants, all its faults at once
    planfile.py    plans: shipped by name, or a user's own
    cells.py       a plan -> cells, each a recipe and the rates it is tested at
    checks.py      which cells are impossible, by their recipes and by the data
    state.py       the folder of a cell: what is done, and what remains
    child.py       processes: started, stopped, gone when their parent is
    worker.py      one cell, in a process of its own: train or go on, test
    run.py         many cells: processes, devices, failures, Ctrl-C
    results.py     cell folders -> numbers
    tables.py      numbers -> the paper's tables
    markup.py      a table as Markdown, CSV, LaTeX
    figures.py     numbers -> the paper's figures
    throughput.py  clips a second, measured side by side (the one file here that imports torch)

Plans are read, refused and tabulated without torch.
"""
