"""The nouns: frozen values without I/O, clock, randomness or JSON."""
