"""
OpenAI, Gemini, xAI and a local server on loopback, for demos and tests without a key or a network.

>>> from tertulia_simulator import Simulator
>>> with Simulator.in_thread() as simulator:
...     sorted(simulator.providers())
['gemini', 'openai', 'xai']

Importing this package is cheap: the server and aiohttp are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tertulia_simulator.conversation import SentFile
    from tertulia_simulator.images import SentImage
    from tertulia_simulator.recording import RecordedRequest, Sent
    from tertulia_simulator.server import Simulator
    from tertulia_simulator.services.service import API_KEY
else:

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it."""
        from importlib import import_module

        homes = {
            "API_KEY": "services.service",
            "RecordedRequest": "recording",
            "Sent": "recording",
            "SentFile": "conversation",
            "SentImage": "images",
        }
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{homes.get(name, 'server')}"), name)


__all__ = ["API_KEY", "RecordedRequest", "Sent", "SentFile", "SentImage", "Simulator"]
