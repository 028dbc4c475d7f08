"""Rendering with torch, on any device: within a gray level of what `mfsynth.render` makes on the CPU.

Loader workers make plates: what is cheap, sequential or random. The training process renders them.
"""
