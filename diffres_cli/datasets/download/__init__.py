"""Archives of a dataset -> its official layout in a folder.

archive.py   one archive: fetched from its address or a mirror, resumed and verified
splitzip.py  a zip archive in several files, opened as one
extract.py   an archive -> plain files inside one folder
download.py  all of a dataset: fetched, verified, unpacked, moved into place
"""
