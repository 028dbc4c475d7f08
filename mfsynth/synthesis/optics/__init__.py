"""Defocus as lenses make it, stage by stage: circles of confusion, kernels, layers, light, noise, camera."""
