"""A model hub: hf:ORG/NAME[@REVISION] <-> files, through the standard hub cache.

reference.py  as users write it, and as records name it
cache.py      what is here already, found and removed without a network
session.py    the hub library's API: what goes wrong in one line, and no warnings of its own
download.py   the files asked for, and no others, verified; a cut download resumes

HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean everywhere.
"""
