"""Picture files: read upright at their full depth, written with color profile and metadata."""
