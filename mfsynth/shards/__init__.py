"""The on-disk format: names, members, tar, manifest."""
