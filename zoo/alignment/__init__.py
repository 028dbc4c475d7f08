"""Where the frames of a stack lie relative to one another, and bringing them into one geometry."""
