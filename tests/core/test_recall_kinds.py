"""Matters of one form, which differ in names and numbers only, are told apart."""

import pytest
from benchmarks.context_kinds import make_talk
from benchmarks.context_ours import make_contexts, open_house
from benchmarks.context_scores import score

from tertulia import ContextOptions


@pytest.mark.parametrize("kind", ["code review", "recipes", "support tickets"])
async def test_advice_and_facts_about_one_of_many_like_matters_are_kept(kind: str):
    """
    Paths that share most of their pieces, names that were said once and small talk that is said often.
    """
    async with open_house() as house:
        found = await score(make_contexts(house, ContextOptions()), [make_talk(kind, 40, 1)], 500)

    assert found.share >= 90
    assert (0, 0) == (found.over, found.lost)
