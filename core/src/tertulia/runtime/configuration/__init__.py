"""Configuration from files, the environment and arguments; a later source wins, and nothing is guessed."""
