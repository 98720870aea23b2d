"""Waveforms of clips, decoded once and read at memory speed.

shards.py    the file format
lookup.py    which shard has which clip
excerpts.py  recordings -> the clips cut from them
decoding.py  one job: recordings -> a shard
plan.py      what is missing -> jobs
pool.py      jobs -> worker processes
cache.py     the whole: build_cache, WaveformCache
"""
