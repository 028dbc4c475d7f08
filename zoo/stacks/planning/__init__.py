"""What is done with each frame of a stack: one look at each, then one plan for all."""
