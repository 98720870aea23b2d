"""How well a model does on a dataset, by frame rate (extra `train`).

metrics.py    probabilities and targets -> mAP, AUC, d', accuracy; per class; confusions
labelmap.py   a model's labels against a dataset's: equal, mapped by a file, or refused
scoring.py    a model on clips at each rate -> probabilities, and the time a clip takes
report.py     what was measured -> table, JSON, CSV; several models as mean ± std
plot.py       metric and time by frame rate, and confusions, as pictures
"""
