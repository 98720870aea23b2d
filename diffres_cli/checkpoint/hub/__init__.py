"""A model hub: hf:ORG/NAME[@REVISION] <-> files, through the standard hub cache.

reference.py  what a user writes, and what a record says
cache.py      what is here already, found and removed without a network
download.py   the files asked for, and no others, verified; a cut download resumes
upload.py     files as one commit
failures.py   what went wrong, in one line
quiet.py      the library's own warnings and bars

HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean everywhere.
"""
