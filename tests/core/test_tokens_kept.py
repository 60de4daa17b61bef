"""What is learned of how models count tokens outlives the client."""

from __future__ import annotations

import attrs
import pytest

import tertulia
from tertulia import CalibrationRecord, TokenSource, Usage
from tertulia.services.context.calibration import Calibration
from tertulia.testing import ScriptedProvider


class Heavy(ScriptedProvider):
    """Reports three hundred tokens more than anybody would expect."""

    async def send_message(self, request):
        async for delta in super().send_message(request):
            is_last = isinstance(delta, tertulia.ProviderReply)
            yield attrs.evolve(delta, usage=Usage(310, 0, 0, 5, 0)) if is_last else delta


def opened(database, provider) -> tertulia.Client:
    return tertulia.open(store=database, providers={}, plugins=[provider], environ={})


async def test_a_new_client_begins_with_what_the_one_before_has_learned(database):
    """The estimate for a model is corrected from the first question on."""
    async with opened(database, Heavy("one").says("ok")) as client:
        await client.ask("How many tokens is this?", provider="one")
        learned = await client.count_tokens("How many tokens is this?", provider="one")

    async with opened(database, Heavy("one").says("ok")) as client:
        fresh = await client.count_tokens("How many tokens is this?", provider="one")

    assert (TokenSource.CALIBRATED, True) == (learned.source, learned.tokens > 200)
    assert (learned.tokens, TokenSource.CALIBRATED) == (fresh.tokens, fresh.source)


@pytest.mark.parametrize(
    "change",
    [
        {"factor": 0.0},
        {"factor": float("nan")},
        {"offset": 1e9},
        {"offset_doubt": -1.0},
        {"factor_doubt": float("inf")},
        {"common_doubt": float("nan")},
    ],
    ids=str,
)
def test_what_cannot_have_been_learned_is_not_believed(change):
    """A record that somebody spoilt changes no estimate."""
    record = CalibrationRecord("one", "m", False, 100.0, 1.5, 3, 100.0, 0.01, 0.0)
    sound, spoilt = Calibration(), Calibration()
    sound.recall([record])
    spoilt.recall([attrs.evolve(record, **change)])

    target = tertulia.Target("one", "m")
    assert (1600, 1000) == (sound.correct(target, 1000), spoilt.correct(target, 1000))


def test_what_is_reported_now_counts_more_than_what_is_stored():
    """Records that come late do not take the place of what was learned meanwhile."""
    target, calibration = tertulia.Target("one", "m"), Calibration()
    calibration.learn(target, estimated=20, reported=220)
    before = calibration.correct(target, 100)

    calibration.recall([CalibrationRecord("one", "m", False, 0.0, 2.0, 9, 1.0, 0.01, 0.0)])

    assert before == calibration.correct(target, 100)
    assert ["one"] == [record.provider for record in calibration.take_changed()]
    assert [] == calibration.take_changed()
