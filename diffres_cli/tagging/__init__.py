"""Recordings -> predictions.

prediction.py  the result types: Label, AdaptiveSpectrogram, WindowPrediction, Prediction
record.py      a prediction as plain JSON values, and as rows of a table
labels.py      scores -> ranked labels, of all or of a list; window scores -> the recording's
events.py      framewise scores -> events: a label's starts and ends in seconds
settings.py    how to tag: frame rate, windows, which labels, what to keep
windows.py     an open recording -> windows -> batches -> their predictions
assemble.py    the predictions of windows -> that of a recording or a channel
many.py        many recordings, one after another or in several processes
tagger.py      a loaded model: tag one recording, many of them, or a stream
"""
