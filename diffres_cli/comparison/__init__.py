"""Many settings of a model against each other: a plan -> trained and tested cells -> the paper's tables.

    paper.py       the paper's own figures, for data of the same name
    plan.py        a plan as TOML: axes, grids, variants, all its faults at once
    planfile.py    plans: shipped by name, or a user's own
    cells.py       a plan -> cells, each a recipe and the rates it is tested at
    checks.py      which cells are impossible, by their recipes and by the data
    words.py       what cells are called
    child.py       processes: started, stopped, gone when their parent is
    state.py       the folder of a cell: what is done, and what remains
    worker.py      one cell, as a process: train or go on, test
    throughput.py  clips a second of a whole plan, as a process (the one file here that imports torch)
    run.py         many cells: processes, devices, failures
    results.py     cell folders -> numbers
    markup.py      a table as Markdown, CSV, LaTeX
    notes.py       what a table says beside its numbers
    tables.py      numbers -> the paper's tables
    steps.py       the logs of runs -> activeness and guide loss by training step
    speed.py       throughput: measured, read back, tabulated
    figures.py     numbers -> the paper's figures
    report.py      a plan's table and figure, as files
    job.py         a plan, run

Plans are read, refused and tabulated without torch.
"""
