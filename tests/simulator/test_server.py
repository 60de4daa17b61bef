"""How the simulator runs: on this event loop, in a thread, in pytest."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

import aiohttp
import pytest

import tertulia
import tertulia_simulator
from tertulia_simulator import API_KEY, Simulator

from .conftest import Caller, render

pytest_plugins = ("pytester",)


def ask(simulator: Simulator, text: str) -> str:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{simulator.providers()['openai']['base_url']}/responses",
        data=json.dumps(render("openai", text)).encode(),
        headers={"authorization": f"Bearer {API_KEY}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
        return json.load(response)["output"][0]["content"][0]["text"]


def test_a_thread_serves_blocking_code():
    """
    Code without an event loop is served, and its requests are recorded.
    """
    with Simulator.in_thread() as simulator:
        assert ask(simulator, "My name is John.") == "Hello John."
        simulator.fail("openai", "overloaded")
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            ask(simulator, "Hello")
        refused.value.close()

        assert simulator.sent_to("openai").count == 2


def test_a_taken_port_is_an_error_at_once():
    """
    Nobody waits for a server that cannot start.
    """
    with Simulator.in_thread() as simulator:
        port = int(simulator.url.rpartition(":")[2])
        with pytest.raises(OSError, match=r"(?i)address already in use"), Simulator.in_thread(port=port):
            pass


async def test_the_providers_are_ready_to_be_opened(simulator):
    """
    Each service is a configured provider whose URL stands where the vendor's would.
    """
    assert simulator.providers() == {
        "openai": {
            "driver": "openai",
            "base_url": f"{simulator.url}/openai/v1",
            "api_key": "sim-key",
            "api": "responses",
        },
        "gemini": {"driver": "gemini", "base_url": f"{simulator.url}/gemini", "api_key": "sim-key"},
        "xai": {
            "driver": "xai",
            "base_url": f"{simulator.url}/xai/v1",
            "api_key": "sim-key",
            "api": "responses",
        },
    }


async def test_openai_is_openai_by_chat_too(simulator):
    """
    It is asked in OpenAI's own dialect, and costs what OpenAI costs; the local server is neither.
    """
    providers = simulator.providers(api="chat", local=True)
    options = tertulia.Options(max_output_tokens=50)
    async with tertulia.open(store="memory:", providers=providers, environ={}) as client:
        asked = {
            name: await client.ask("Hello", provider=name, options=options) for name in ("openai", "local")
        }

    assert [("openai", "openai"), ("local", None)] == [
        (name, providers[name].get("vendor")) for name in ("openai", "local")
    ]
    openai, local = (simulator.sent_to(name).body for name in ("openai", "local"))
    assert (50, False) == (openai["max_completion_tokens"], openai["store"])
    assert (50, False) == (local["max_tokens"], "store" in local)
    assert [False, True] == [asked[name].cost is None for name in ("openai", "local")]


async def test_the_local_server_is_configured_when_asked_for(simulator):
    """
    It needs a model and no key, and comes after the vendors.
    """
    providers = simulator.providers(local=True)

    assert [*simulator.providers(), "local"] == [*providers]
    assert {"driver": "openai", "base_url": f"{simulator.url}/local/v1", "model": "llama-sim"} == (
        providers["local"]
    )


@pytest.mark.parametrize(
    ("api", "endpoint"), [("responses", "/v1/responses"), ("chat", "/v1/chat/completions")]
)
async def test_the_drivers_can_be_sent_to_either_api(simulator, api, endpoint):
    """
    OpenAI and xAI are asked where it says, a local server always by chat, and the mind knows them all.
    """
    providers = simulator.providers(api=api, local=True)
    async with tertulia.open(store="memory:", providers=providers, environ={}) as client:
        trip = await client.start(provider="openai", model="gpt-6.1-terra")
        said = [(await trip.send("My name is John.")).text]
        for name, model in (("gemini", None), ("xai", "grok-4.3"), ("local", "llama-sim")):
            await trip.switch(name, model)
            said.append((await trip.send("What is my name?")).text)

    assert ["Hello John.", *["Your name is John."] * 3] == said
    assert [f"/openai{endpoint}", f"/xai{endpoint}", "/local/v1/chat/completions"] == [
        request.path for request in simulator.requests if request.service != "gemini"
    ]


async def test_a_burst_is_the_same_stream():
    """
    Fewer writes change nothing in what is written.
    """
    async with Simulator(burst=True) as simulator, aiohttp.ClientSession() as session:
        events = await Caller(session, simulator).stream("xai", "Count to 1000.")

    assert "".join(event.get("delta", "") for event in events).endswith(", 999, 1000.")


async def test_a_client_may_leave_early(caller, simulator):
    """
    A stream that nobody reads to its end harms no other request.
    """
    body = render("openai", "Count to 2000.") | {"stream": True}
    headers = {"authorization": "Bearer sim-key"}
    async with caller.session.post(
        f"{simulator.url}/openai/v1/responses", json=body, headers=headers
    ) as response:
        await response.content.readline()
        response.close()

    assert (await caller.ask("openai", "Hello"))[0] == 200


def test_a_simulator_that_does_not_run_has_no_url():
    """
    The message says how to run it.
    """
    with pytest.raises(RuntimeError, match="async with"):
        _ = Simulator().url


def test_the_package_names_what_it_offers():
    """
    Every public name is there, and no other.
    """
    assert all(hasattr(tertulia_simulator, name) for name in tertulia_simulator.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Simulater'"):
        _ = tertulia_simulator.Simulater


def test_importing_the_plugin_loads_no_server():
    """
    The plugin is loaded in every project that has it installed, so it loads next to nothing itself.
    """
    code = "import sys, tertulia_simulator.pytest_plugin; print({'aiohttp', 'tertulia'} & sys.modules.keys())"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_the_fixture_serves_a_test(pytester):
    """
    A project that installs the package has the fixture, without a warning.
    """
    pytester.makepyfile("def test_it(simulator): assert simulator.url.startswith('http://127.0.0.1:')")

    pytester.runpytest_inprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=1)
