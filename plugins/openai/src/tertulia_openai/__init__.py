"""OpenAI for tertulia, over the Responses API."""

from tertulia_openai.provider import OpenAIProvider

PROVIDER = OpenAIProvider
"""What the entry point of the group ``tertulia.providers`` names."""

__all__ = ["PROVIDER", "OpenAIProvider"]
