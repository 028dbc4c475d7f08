"""Where the files of a split are: names as people write them, folders, zips, and zips in zips."""
