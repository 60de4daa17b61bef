"""Prices of models tertulia has no row for, from genai-prices."""

from tertulia_genai_prices.prices import Prices

__all__ = ["Prices"]
