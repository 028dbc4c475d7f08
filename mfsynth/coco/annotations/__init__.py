"""What a split lists: the text, its records, and the entries that they make."""
