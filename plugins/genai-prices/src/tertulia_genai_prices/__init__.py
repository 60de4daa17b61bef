"""Prices of models tertulia has no row for, from genai-prices."""
