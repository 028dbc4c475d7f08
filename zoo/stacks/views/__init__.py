"""What is written beside a fused picture for people to look at: maps, and a page."""
