"""From frames to one sharp picture: networks run over tiles, alignment, picture files, stacks."""
