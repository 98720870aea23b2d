"""Waveforms of clips, decoded once and read at memory speed.

shards.py    the file format
lookup.py    which shard has which clip
excerpts.py  a recording -> the clips cut from it
decoding.py  one job: recordings -> a shard
missing.py   clips that are not cached yet -> jobs
workers.py   jobs -> worker processes
cache.py     all of it: build_cache, WaveformCache
"""
