"""From a mask, or from instances, to a segment map."""
