"""xAI Grok for tertulia, over the Responses API."""

from tertulia_xai.provider import XAIProvider

PROVIDER = XAIProvider
"""What the entry point of the group ``tertulia.providers`` names."""

__all__ = ["PROVIDER", "XAIProvider"]
