"""Folders at scale: one loop over recordings, from a plan through an engine to results.

plan.py      inputs -> tasks: which file, where its result goes, which shard it belongs to
work.py      one task -> its outcome: the function every engine runs
run.py       the loop, its summary, and the engine of this machine
stream.py    results as they come, in the order of the listing
fingerprint.py  everything that could change a result
ledger.py    what is done, so that a killed run resumes where it stopped
resumable.py results in a folder, in one file, or both, with a ledger
ray/         an engine on a Ray cluster, and its results: a folder of Parquet files
"""
