"""A network to the Hub: push, card, what is known of it, the known pair."""
