"""Tokens, without asking a provider."""
