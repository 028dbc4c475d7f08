"""From options to a finished data set: plan, shards, seal."""
