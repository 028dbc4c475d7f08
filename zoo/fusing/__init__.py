"""From frames to one sharp picture: rules, bursts, tiles, the decision."""
