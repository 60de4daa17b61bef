"""Google Gemini for tertulia, over ``generateContent``."""

from tertulia_gemini.provider import GeminiProvider

PROVIDER = GeminiProvider
"""What the entry point of the group ``tertulia.providers`` names."""

__all__ = ["PROVIDER", "GeminiProvider"]
