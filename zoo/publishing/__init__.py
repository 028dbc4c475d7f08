"""Networks on the Hub: pushing, cards, what is known about a network, and the known pair that tests it."""
