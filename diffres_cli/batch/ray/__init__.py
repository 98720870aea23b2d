"""The same work on a Ray cluster (extra `ray`), into a folder of Parquet files.

remote.py  recordings and results anywhere fsspec reaches
parts.py   the folder of results: finished recordings, and files that diffres did not write
worker.py  one process of the cluster, with one model
engine.py  the cluster: connected, given parts, its failures counted
"""
