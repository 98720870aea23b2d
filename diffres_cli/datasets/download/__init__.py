"""Archives of a dataset -> its official layout in a folder.

archive.py     what an archive is called, and whether a file is that archive
transfer.py    one file from an address, resumed and verified
containers.py  what a tar or zip archive holds, split archives included
entries.py     which members of an archive may be written, and where
extract.py     members of an archive -> files inside one folder
download.py    all of a dataset: fetched, verified, unpacked, moved into place
"""
