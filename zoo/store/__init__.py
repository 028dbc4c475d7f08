"""Networks on disk, in the registry and on the Hub: find, fetch, read, write."""
