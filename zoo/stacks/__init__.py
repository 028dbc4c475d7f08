"""Stacks as people have them: surveyed, planned, prepared and fused, from files to one picture."""
