"""Whether a data set is what its manifest says: bytes, names, members, recipes, pixels."""
