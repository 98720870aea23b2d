"""Archives of a dataset -> its official layout in a folder.

archive.py     one archive: fetched from its address or a mirror, resumed and verified
containers.py  what a tar or zip archive holds, split archives included
entries.py     which members of an archive may be written, and where
extract.py     members of an archive -> files inside one folder
download.py    all of a dataset: fetched, verified, unpacked, moved into place
"""
