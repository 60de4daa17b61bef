"""Names that no longer exist: whoever asks for one is told what to ask for instead."""

from __future__ import annotations

import re

import pytest
from driver_cases import DRIVERS, fail
from raw_server import RawServer, answer

SUCCESSORS = {
    "gemini": {
        "gemini-pro": "gemini-3.5-flash",
        "gemini-pro-vision": "gemini-3.5-flash",
        "gemini-1.0-pro-001": "gemini-3.5-flash",
        "gemini-1.0-ultra": "gemini-3.5-flash",
        "gemini-1.5-pro-latest": "gemini-3.1-pro-preview",
        "gemini-1.5-flash-8b-exp-0924": "gemini-3.5-flash-lite",
        "gemini-2.0-flash-exp": "gemini-3.5-flash",
        "gemini-2.0-flash-lite-001": "gemini-3.5-flash-lite",
        "gemini-2.0-pro-exp-02-05": "gemini-3.1-pro-preview",
        "models/gemini-2.0-flash-thinking-exp": "gemini-3.5-flash",
        "gemini-3-pro-preview": "gemini-3.1-pro-preview",
    },
    "openai": {
        "gpt-3.5-turbo-16k": "gpt-6-luna",
        "gpt-4-0613": "gpt-6.1-terra",
        "gpt-4-turbo-preview": "gpt-6.1-terra",
        "gpt-4-vision-preview": "gpt-6.1-terra",
        "o1-preview": "gpt-6.1-terra",
        "o1-mini": "gpt-5.6-luna",
        "o4-mini-2025-04-16": "gpt-5.6-luna",
        "gpt-4.1-nano": "gpt-6-luna",
        "gpt-5-2025-08-07": "gpt-6.1-terra",
    },
    "xai": {
        "grok-beta": "grok-4.7",
        "grok-vision-beta": "grok-4.7",
        "grok-2-1212": "grok-4.7",
        "grok-2-vision-latest": "grok-4.7",
        "grok-3": "grok-4.3",
        "grok-4-fast-reasoning": "grok-4.3",
        "grok-code-fast-1": "grok-build-0.1",
    },
}


@pytest.mark.parametrize(
    ("service", "model", "successor"),
    [(service, *names) for service, table in SUCCESSORS.items() for names in table.items()],
)
async def test_a_name_that_is_gone_names_its_successor(connect, service, model, successor):
    """
    The error of the service gets a next step, which leads to a model that is in the table and stays.
    """
    driver = DRIVERS[service]
    error = {"error": {"message": "No such model.", "code": "model_not_found", "status": "NOT_FOUND"}}
    async with RawServer([answer(error, 404)]) as server:
        provider = connect(driver, server.url)
        _, failure = await fail(provider, driver.ask(model=model))

    assert ("model_not_found", f"use {successor!r}, which takes its place") == (
        failure.kind,
        failure.next_step,
    )
    info = provider.find_model(successor)
    assert info is not None
    assert (None, None) == (info.gone_at, info.successor)


def test_what_only_looks_gone_has_no_successor():
    """
    ``gemini-pro-latest`` is alive, if on another version of the API.
    """
    provider = DRIVERS["gemini"].make(None)

    assert not re.match("use .* which takes", provider.suggest_model("gemini-pro-latest") or "")
