"""How well a model does on a dataset, by frame rate (extra `train`).

runfolder.py   the folder of a training run: recipe, facts, sessions, weights, evaluation
result.py      what an evaluation finds, as values; mean and standard deviation over folds and seeds
metrics.py     probabilities and targets -> mAP, AUC, d', accuracy; per class; confusions
tasks.py       a request -> which model is evaluated on which clips
labelmap.py    a model's labels against a dataset's: equal, mapped by a file, or refused
scoring.py     a model on clips at each rate -> probabilities, and the time a clip takes
evaluate.py    tasks -> evaluations
report.py      what was measured -> table, JSON, CSV; several models as mean ± standard deviation
plot.py        metric and time by frame rate, and confusions, as pictures
provenance.py  the command, the machine, the versions, the code
cardnotes.py   the exported network of a run, and a card with its scores
"""
