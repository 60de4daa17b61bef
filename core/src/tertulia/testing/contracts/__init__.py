"""
Contract suites: what every provider and every store promises, as tests to inherit.

Subclass a suite in a test module, give it the fixture it asks for, and pytest does the rest::

    class TestMyProvider(ProviderContract):
        @pytest.fixture
        async def provider(self, my_server):
            provider = MyProvider(ProviderConfig("mine", "mine", api_key=KEY, base_url=my_server.url))
            yield provider
            await provider.aclose()
"""

from tertulia.testing.contracts.provider import ProviderContract
from tertulia.testing.contracts.store import StoreContract

__all__ = ["ProviderContract", "StoreContract"]
