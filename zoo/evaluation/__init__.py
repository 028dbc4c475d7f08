"""How good a fused picture is: metrics, baselines, tables."""
