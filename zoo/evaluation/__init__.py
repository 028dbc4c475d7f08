"""Which methods are scored, on which data, and what the report shows."""
