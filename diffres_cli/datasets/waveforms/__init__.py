"""Waveforms of clips, decoded once and read at memory speed.

shards.py    the file format, and which shard has which clip
decoding.py  one job: recordings -> a shard
jobs.py      clips that are not cached yet -> jobs, done by worker processes
cache.py     all of it: build_cache, WaveformCache
"""
