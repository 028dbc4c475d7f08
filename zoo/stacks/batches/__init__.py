"""Folders of stacks: found, grouped, and fused one after the other."""
