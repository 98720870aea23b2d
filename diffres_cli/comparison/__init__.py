"""Many settings of a model compared: a plan -> trained and tested cells -> the paper's tables.

    plan.py        a plan as TOML: axes, grids, variants, all its faults at once; those shipped, by name
    cells.py       a plan -> cells, each a recipe and the rates it is tested at
    checks.py      which cells are impossible, by their recipes and by the data
    folder.py      the folder of a cell: what is done, and what it scored
    work.py        one cell: trained or resumed, and tested
    paper.py       what cells are called, and the paper's own figures for them
    markup.py      a table as Markdown, CSV, LaTeX
    tables.py      results -> the paper's tables
    curves.py      the logs of runs -> activeness and guide loss by training step
    throughput.py  clips per second of a whole plan (the one file here that imports torch)
    run.py         runs a plan: in this process or in worker processes
    figures.py     numbers -> the paper's figures
    report.py      a plan's table and figure, as files

Plans are read, checked and tabulated without torch.
"""
