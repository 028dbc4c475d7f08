"""Networks as ONNX graphs, made of a config and weights: torch is not needed."""
