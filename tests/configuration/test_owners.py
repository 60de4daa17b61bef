"""Whose conversations they are: names that every database tells from every other one."""

from __future__ import annotations

import pytest

import tertulia
from tertulia import ConfigurationError


@pytest.mark.parametrize("owner", ["a\ud800", "a\0", "a" * 201])
def test_an_owner_that_a_database_could_mistake_is_refused(owner):
    """What would be replaced or cut could be somebody else's name."""
    with pytest.raises(ConfigurationError, match="owner must be a text of at most 200 characters"):
        tertulia.open(store="memory:", owner=owner, environ={})


async def test_any_other_name_will_do():
    """Letters of any script, spaces and signs are a name."""
    owner = "Zoë Müller, 北京"
    async with tertulia.open(store="memory:", providers={}, owner=owner, environ={}) as client:
        assert f"<Client of {owner!r} with >" == repr(client)
