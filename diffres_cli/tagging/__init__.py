"""Recordings -> predictions.

prediction.py  the result types: Label, AdaptiveSpectrogram, WindowPrediction, Prediction
record.py      a prediction as plain JSON values, and as rows of a table
labels.py      scores -> ranked labels, of all or of a list; window scores -> the recording's
events.py      framewise scores -> events: a label's starts and ends in seconds
settings.py    how to tag: frame rate, windows, which labels, what to keep
assemble.py    what a model computes -> predictions of windows -> the recording's
windows.py     an open recording -> windows -> batches -> their predictions
many.py        many recordings, one after another or in several processes
tagger.py      a loaded model: tag one recording, many of them, or a stream
"""
