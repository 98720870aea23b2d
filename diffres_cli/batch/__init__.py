"""Folders at scale: what to do, what is done already, who does it, and where it goes.

job.py      many recordings through one tagger: the good written, the bad reported
plan.py     inputs -> tasks: which file, where its result goes, which shard it belongs to
work.py     one task -> its outcome: the function every engine runs
workers.py  processes with one model each; a worker that dies costs one retry
fingerprint.py  everything that could change a result
ledger.py   what is done, so that a killed run goes on where it stopped
run.py      plan, ledger, engine, output: the whole job
stream.py   plan, workers, output: written as it comes, in the order of the listing, and not resumable
ray/        the same work on a Ray cluster, into a folder of Parquet files
"""
