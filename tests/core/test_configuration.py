"""Configuration from arguments and the environment, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import traceback
from importlib.metadata import EntryPoint

import pytest

import tertulia
from tertulia import (
    AttemptOutcome,
    ConfigurationError,
    ConversationNotFoundError,
    DriverNotInstalledError,
    MissingKeyError,
    ModelNotFoundError,
    PluginRejectedError,
    Secret,
    Timeouts,
    UnknownProviderError,
)
from tertulia.domain.config import ProviderConfig
from tertulia.runtime.configuration import drivers
from tertulia.runtime.configuration.drivers import make_provider
from tertulia.runtime.configuration.sources import Arguments, make_config, read_sources
from tertulia.testing import ScriptedProvider
from tertulia_openai import OpenAIProvider


def configure(environ=None, **arguments):
    return make_config(read_sources(Arguments(**arguments), environ or {}, is_own=False))


def key_of(name, environ, table=None):
    config = configure(environ, providers={name: {"driver": name, **(table or {})}})
    key = make_provider(name, config, environ).config.api_key
    return None if key is None else key.reveal()


def test_without_configuration_every_installed_driver_is_configured():
    """Each installed driver is a provider under its own name."""
    assert ["gemini", "openai", "xai"] == list(configure().providers)


@pytest.mark.parametrize(
    ("name", "environ", "key"),
    [
        ("openai", {"OPENAI_API_KEY": "b"}, "b"),
        ("openai", {"OPENAI_API_KEY": "b", "AI_OPENAI_API_KEY": "a"}, "a"),
        ("gemini", {"GOOGLE_API_KEY": "c"}, "c"),
        ("gemini", {"GOOGLE_API_KEY": "c", "GEMINI_API_KEY": "b"}, "b"),
        ("gemini", {"GOOGLE_API_KEY": "c", "GEMINI_API_KEY": "b", "AI_GEMINI_API_KEY": "a"}, "a"),
        ("xai", {"XAI_API_KEY": " b \n"}, "b"),
        ("xai", {"XAI_API_KEY": ""}, None),
    ],
)
def test_keys_are_found_in_the_environment(name, environ, key):
    """Our own variable wins, then the vendor's, in a fixed order; blanks are stripped."""
    assert key == key_of(name, environ)


@pytest.mark.parametrize(
    ("base_url", "environ", "key"),
    [
        ("https://api.openai.com/v1", {"OPENAI_API_KEY": "k"}, "k"),
        ("https://eu.api.openai.com/v1", {"OPENAI_API_KEY": "k"}, "k"),
        ("https://evil.example/v1", {"OPENAI_API_KEY": "k"}, None),
        ("https://api.openai.com.evil.example/v1", {"OPENAI_API_KEY": "k"}, None),
        ("https://evilapi.openai.com/v1", {"OPENAI_API_KEY": "k"}, None),
        ("http://api.openai.com/v1", {"OPENAI_API_KEY": "k"}, None),
        ("https://proxy.example/v1", {"OPENAI_API_KEY": "k", "AI_OPENAI_API_KEY": "mine"}, "mine"),
    ],
)
def test_a_vendors_key_goes_to_the_vendor_only(base_url, environ, key):
    """A key from the vendor's own variable is not sent to another origin; one set for us is."""
    assert key == key_of("openai", environ, {"base_url": base_url})


def test_the_environment_says_where_and_which_model():
    """AI_<NAME>_BASE_URL and AI_<NAME>_MODEL configure a provider; an argument wins."""
    environ = {"AI_MY_GPT_BASE_URL": "http://a/v1", "AI_MY_GPT_MODEL": "m"}
    table = {"driver": "openai"}

    first = configure(environ, providers={"my-gpt": table}).providers["my-gpt"]
    second = configure(environ, providers={"my-gpt": {**table, "model": "n"}}).providers["my-gpt"]

    assert ("http://a/v1", "m", "n") == (first.base_url, first.model, second.model)


def test_the_environment_names_store_provider_and_fallback():
    """TERTULIA_STORE, TERTULIA_PROVIDER and TERTULIA_FALLBACK are read; arguments win."""
    environ = {
        "TERTULIA_STORE": "memory:",
        "TERTULIA_PROVIDER": "xai",
        "TERTULIA_FALLBACK": "gemini, openai/gpt-5.5",
    }

    config = configure(environ)
    assert ("memory:", "xai", ("gemini", "openai/gpt-5.5")) == (
        config.store,
        config.default_provider,
        config.fallback,
    )
    assert () == configure(environ, fallback=[]).fallback


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fallback": ["gemni"]}, UnknownProviderError, "as 'gemni'; did you mean 'gemini'"),
        ({"default_provider": "nobody"}, UnknownProviderError, "configured are: gemini, openai, xai"),
        ({"max_context_tokens": 0}, ConfigurationError, "max_context_tokens must be at least 1"),
        (
            {"providers": {"a": {"driver": "openai", "timeouts": {"conect": 1}}}},
            ConfigurationError,
            "providers.a.timeouts.conect is no setting; did you mean 'connect'",
        ),
        (
            {"providers": {"a": {"driver": "openai", "timeouts": {"idle": 0}}}},
            ConfigurationError,
            "providers.a.timeouts.idle must be more than 0 seconds",
        ),
        ({"providers": {"a": {"driver": ""}}}, ConfigurationError, "providers.a.driver must be a text"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(arguments, error, message):
    """A wrong value is a configuration error that says which and what to do."""
    with pytest.raises(error, match=message):
        configure(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_context_tokens": True}, "max_context_tokens must be a whole number"),
        ({"max_context_tokens": 8e3}, "max_context_tokens must be a whole number"),
        ({"context_window": "20"}, "context_window must be a whole number"),
        ({"context_window": -1}, "context_window must be at least 1"),
        ({"fallback": 7}, "fallback must be a text or a list of texts"),
        ({"fallback": ["gemini", None]}, "fallback must be a text or a list of texts"),
        ({"default_provider": 7}, "default_provider must be a text"),
        ({"store": 7}, "store must be a text"),
        ({"owner": 7}, "owner must be a text"),
        ({"owner": " "}, "owner must be a text"),
        ({"config": 7}, "config must be a path, None or False; name a TOML file"),
        ({"config": True}, "config must be a path, None or False; name a TOML file"),
        (
            {"providers": ["openai"]},
            "providers must be a table; write a table for each name: providers.NAME",
        ),
        ({"providers": {7: {}}}, "providers has the name 7, which is no text"),
        (
            {"providers": {"a/b": {}}},
            (
                'providers."a/b" is no provider\'s name: it is empty or has a slash in it; '
                "take another: fallbacks are written as provider/model"
            ),
        ),
    ],
)
def test_an_argument_of_the_wrong_form_is_named(arguments, message):
    """An argument that is not of the form it should have is a configuration error, whatever it is."""
    with pytest.raises(ConfigurationError) as caught:
        configure(**arguments)

    assert message == str(caught.value)


URL_FORM = "write it as https://HOST/PATH"
KEYS = (
    "its keys are: driver, api_key, base_url, model, fallback, timeouts, limits, price_factor, "
    "and its driver's own"
)
NO_LOGIN = ".base_url has a user or a password in it; put the key in api_key"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("sk-very-secret", f" must be a table; {KEYS}"),
        (None, f" must be a table; {KEYS}"),
        ({7: "x"}, " has the name 7, which is no text"),
        ({"api_key": 7}, ".api_key must be a text"),
        ({"model": 7}, ".model must be a text"),
        ({"model": {}}, ".model must be a text"),
        ({"base_url": 7}, ".base_url must be a text"),
        ({"base_url": "http://[::1"}, f".base_url is no URL; {URL_FORM}"),
        ({"base_url": "http://a:99999/v1"}, f".base_url is no URL; {URL_FORM}"),
        ({"base_url": "https:///v1"}, f".base_url has no host; {URL_FORM}"),
        ({"base_url": "localhost:8080"}, f".base_url has no host; {URL_FORM}"),
        ({"base_url": "https://me:sk-very-secret@a/v1"}, NO_LOGIN),
        ({"base_url": "https://sk-very-secret@a/v1"}, NO_LOGIN),
        ({"fallback": {"gemini": 1}}, ".fallback must be a text or a list of texts"),
        ({"fallback": [7]}, ".fallback must be a text or a list of texts"),
        ({"timeouts": 7}, ".timeouts must be a table of seconds"),
        ({"timeouts": []}, ".timeouts must be a table of seconds"),
        ({"timeouts": {7: 1}}, ".timeouts has the name 7, which is no text"),
        ({"timeouts": {"idle": "7"}}, ".timeouts.idle must be a number of seconds"),
        ({"timeouts": {"idle": True}}, ".timeouts.idle must be a number of seconds"),
        ({"timeouts": {"idle": None}}, ".timeouts.idle must be a number of seconds"),
        ({"timeouts": {"idle": {}}}, ".timeouts.idle must be a number of seconds"),
        ({"timeouts": {"idle": float("nan")}}, ".timeouts.idle must be more than 0 seconds"),
        ({"timeouts": Timeouts(idle=-1)}, ".timeouts.idle must be more than 0 seconds"),
    ],
)
def test_a_setting_of_the_wrong_form_is_named(table, message):
    """A provider's setting of the wrong form is named with the provider; what may be secret is not said."""
    with pytest.raises(ConfigurationError) as caught:
        configure(providers={"openai": table})

    assert (f"providers.openai{message}", "openai") == (str(caught.value), caught.value.provider)


def test_one_fallback_is_one_text():
    """A single name need not be in a list, and is not read letter by letter."""
    config = configure(providers={"a": {"driver": "openai", "fallback": "b"}, "b": {}}, fallback="b/m")

    assert (("b/m",), ("b",)) == (config.fallback, config.providers["a"].fallback)


def test_an_empty_variable_is_not_set():
    """Blanks in the environment are no value."""
    environ = {"AI_OPENAI_API_KEY": " ", "AI_OPENAI_BASE_URL": " ", "AI_OPENAI_MODEL": " "}
    config = configure(environ, providers={"openai": {}})

    assert ProviderConfig("openai", "openai") == config.providers["openai"]


async def test_a_provider_that_was_passed_in_can_be_the_default_and_a_fallback():
    """The default and the fallbacks may name providers among the plugins, given as any iterable."""
    one = ScriptedProvider("one").refuses(tertulia.QuotaExhaustedError, status=429)
    two = ScriptedProvider("two").says("Hello.")
    async with tertulia.open(
        store="memory:",
        providers={},
        plugins=iter([one, two]),
        default_provider="one",
        fallback=["two"],
        environ={},
    ) as client:
        assert ("Hello.", "two") == ((reply := await client.ask("Hello")).text, reply.provider)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            {"driver": "mistral"},
            DriverNotInstalledError,
            "no driver named 'mistral' is installed; try \"pip install tertulia-mistral\"",
        ),
        (
            {"driver": "openai", "organisation": "x"},
            ConfigurationError,
            "has no setting 'organisation'; did you mean 'organization'",
        ),
        (
            {"driver": "openai", "base_url": "ftp://x"},
            ConfigurationError,
            "base_url must begin with https://",
        ),
        (
            {"driver": "gemini", "safety_settings": {"HARM_CATEGORY_RUDENESS": "OFF"}},
            ConfigurationError,
            "there is no harm category 'HARM_CATEGORY_RUDENESS'",
        ),
    ],
)
async def test_a_provider_that_cannot_be_made_is_named(table, error, message):
    """A provider whose driver or settings are wrong is refused when it is first used."""
    async with tertulia.open(store="memory:", providers={"mine": table}, environ={}) as client:
        with pytest.raises(error, match=message) as caught:
            await client.start(provider="mine")

    assert "mine" == caught.value.provider


def test_timeouts_come_from_a_table():
    """What a table does not say keeps its default; one that is None says nothing."""
    tables = ({"idle": 7}, {"idle": 7, "first_content": None}, Timeouts(idle=7), None)
    found = [
        configure(providers={"a": {"driver": "openai", "timeouts": table}}).providers["a"].timeouts
        for table in tables
    ]

    assert [*[Timeouts(idle=7)] * 3, Timeouts()] == found


async def test_a_missing_key_is_said_before_anything_is_sent(simulator):
    """Without a key nothing is sent, the message is kept, and the error names the variables."""
    providers = {name: {**table, "api_key": None} for name, table in simulator.providers().items()}
    async with tertulia.open(store="memory:", providers=providers, environ={}) as client:
        conversation = await client.start(provider="xai")
        with pytest.raises(MissingKeyError) as caught:
            await conversation.send("Hello")
        (attempt,) = await conversation.attempts()

    assert (
        f"provider 'xai': no key is set for {simulator.url}/xai/v1, so nothing was sent; "
        "your message is stored; set AI_XAI_API_KEY, or pass api_key; "
        "XAI_API_KEY is withheld, because a vendor's key goes to the vendor's own origin only"
    ) == str(caught.value)
    assert (AttemptOutcome.FAILED, 0) == (attempt.outcome, attempt.cost.usd)
    assert [] == simulator.requests


async def test_an_unknown_model_is_said_by_the_provider(client):
    """A model that does not exist is refused by the service, and the error names it."""
    conversation = await client.start(provider="gemini", model="gemini-flash-latest")

    with pytest.raises(ModelNotFoundError, match="exists on v1beta only: set api_version") as caught:
        await conversation.send("Hello")

    assert ("gemini", "gemini-flash-latest") == (caught.value.provider, caught.value.model)


async def test_without_any_key_the_variables_are_named():
    """Nobody to ask by default: the error says which variables would do."""
    async with tertulia.open(store="memory:", environ={}) as client:
        with pytest.raises(ConfigurationError, match=r"no provider has a key; set one of .*OPENAI_API_KEY"):
            await client.start()


async def test_the_first_provider_with_a_key_is_the_default():
    """A key for xAI alone makes it the default."""
    async with tertulia.open(store="memory:", environ={"XAI_API_KEY": "k"}) as client:
        assert "xai" == (await client.start()).provider


@pytest.mark.parametrize("identifier", ["nonsense", "0199a3c4-0000-7000-8000-000000000000", 123, None])
async def test_a_conversation_that_is_not_there_is_not_found(client, identifier):
    """A wrong id of any form is the same error."""
    with pytest.raises(ConversationNotFoundError) as caught:
        await client.get(identifier)

    assert str(identifier) == str(caught.value.conversation_id)


async def test_a_title_is_bounded(client):
    """A title can be set, changed and taken away; more than 200 characters are refused."""
    conversation = await client.start("one", provider="openai")
    await client.rename(conversation.id, "two")
    assert "two" == conversation.title
    await conversation.rename(None)
    assert [None] == [record.title for record in await client.list()]

    with pytest.raises(ConfigurationError, match="at most 200 characters, and this one has 201"):
        await conversation.rename("x" * 201)


async def test_a_closed_client_says_so(database):
    """A client outside its `async with` is a clear error."""
    with pytest.raises(tertulia.TertuliaError, match="the client is not open"):
        await tertulia.open(store=database, providers={}, environ={}).list()


def entry_point(value: str) -> EntryPoint:
    return EntryPoint(name="broken", value=value, group="tertulia.providers")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:PROVIDER", "its driver cannot be loaded: ModuleNotFoundError"),
        ("json:loads", "is no subclass of tertulia.Provider"),
    ],
)
async def test_a_broken_driver_breaks_nothing_else(monkeypatch, client, value, message):
    """A driver that cannot be loaded is refused with the reason when it is asked for."""
    installed = [entry_point(value), *drivers.installed_drivers()]
    monkeypatch.setattr(drivers, "installed_drivers", lambda: installed)
    config = configure(providers={"broken": {}})

    with pytest.raises(PluginRejectedError, match=message):
        make_provider("broken", config, {})

    assert "1, 2." == (await client.ask("Count to 2.", provider="openai")).text


class Stubborn(ScriptedProvider):
    """A driver that cannot be started."""

    def __init__(self, config):
        raise ZeroDivisionError("no luck")


def test_a_driver_that_cannot_be_started_is_refused_with_the_reason(monkeypatch):
    """Whatever a driver raises when it is made is told as a refusal, with its cause."""
    monkeypatch.setattr(drivers, "installed_drivers", lambda: [entry_point(f"{__name__}:Stubborn")])

    with pytest.raises(PluginRejectedError) as caught:
        make_provider("mine", configure(providers={"mine": {"driver": "broken"}}), {})

    assert (
        "provider 'mine': driver 'broken' failed to start: ZeroDivisionError: no luck; "
        "see the cause below, and tell the author of the driver"
    ) == str(caught.value)
    assert ("broken", "mine", ZeroDivisionError) == (
        caught.value.plugin,
        caught.value.provider,
        type(caught.value.__cause__),
    )


BROKEN_FIRST = {"lost": {"driver": "mistral"}, "broken": {}, "openai": {}}


@pytest.mark.parametrize("value", ["no_such_module:PROVIDER", f"{__name__}:Stubborn"])
async def test_a_driver_that_is_not_there_or_broken_is_no_default(monkeypatch, value):
    """Without a name, the first provider with a key is asked, past those whose driver does not work."""
    installed = [entry_point(value), *drivers.installed_drivers()]
    monkeypatch.setattr(drivers, "installed_drivers", lambda: installed)
    environ = {"OPENAI_API_KEY": "k"}

    async with tertulia.open(store="memory:", providers=BROKEN_FIRST, environ=environ) as client:
        assert "openai" == (await client.start()).provider


async def test_when_no_provider_is_left_the_first_failure_is_said():
    """Where nobody else has a key, what is wrong with the first driver is the error."""
    async with tertulia.open(store="memory:", providers=BROKEN_FIRST, environ={}) as client:
        with pytest.raises(DriverNotInstalledError, match="no driver named 'mistral' is installed"):
            await client.start()


async def test_without_any_provider_the_error_says_so():
    """Nobody is configured: the error says what to install."""
    async with tertulia.open(store="memory:", providers={}, environ={}) as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.start()

    assert 'no provider is installed; try "pip install tertulia-openai"' == str(caught.value)


def printed(error: BaseException) -> str:
    """A traceback as error reporters write it, with every local variable."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_a_provider_that_could_not_be_made_shows_in_a_traceback():
    """The name is set before anything is refused."""
    with pytest.raises(ConfigurationError) as caught:
        OpenAIProvider(ProviderConfig("mine", "openai", settings={"projet": "x"}))

    assert "self = <OpenAIProvider 'mine'>" in printed(caught.value)


KEY = "sk-very-secret"


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "AI_OPENAI_API_KEY"])
def test_no_traceback_shows_the_environment(monkeypatch, variable):
    """An error of `open` holds no key of the environment, even where local variables are printed."""
    monkeypatch.setenv(variable, KEY)

    with pytest.raises(UnknownProviderError) as caught:
        tertulia.open(providers=None, fallback=["nobody"])

    assert "environ = <Environment>" in printed(caught.value)
    assert KEY not in printed(caught.value)


async def test_no_traceback_shows_the_key_of_a_provider_that_could_not_be_made(monkeypatch):
    """Where a driver fails before it has a name, it can be shown, and the key it was given stays secret."""
    monkeypatch.setattr(drivers, "installed_drivers", lambda: [entry_point(f"{__name__}:Stubborn")])
    monkeypatch.setattr(Stubborn, "KEY_VARIABLES", ("STUBBORN_API_KEY",))
    monkeypatch.setenv("STUBBORN_API_KEY", KEY)

    async with tertulia.open(store="memory:", providers={"mine": {"driver": "broken"}}) as client:
        with pytest.raises(PluginRejectedError) as caught:
            await client.start(provider="mine")

    assert "self = <Stubborn None>" in printed(caught.value)
    assert "api_key=Secret('…')" in printed(caught.value)
    assert KEY not in printed(caught.value)


def test_a_secret_shows_itself_only_when_asked():
    """No representation of a configuration has the key in it."""
    config = ProviderConfig("mine", "openai", api_key=Secret("sk-very-secret"))

    assert "sk-very-secret" not in f"{config!r} {config} {config.api_key!s} {config.api_key:}"
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        __import__("pickle").dumps(config.api_key)


def test_importing_loads_nothing_heavy_and_opens_no_socket():
    """`import tertulia` loads no HTTP, SQL, template or JSON library, and listing opens no socket."""
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a socket was opened')\n"
        "import tertulia\n"
        "heavy = ('aiohttp', 'sqlalchemy', 'mako', 'alembic', 'orjson', 'cattrs', 'pluggy')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "print(tertulia.open(providers=None, environ={}).providers)\n"
        "print([name for name in ('aiohttp', 'sqlalchemy', 'mako', 'alembic') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]\n['gemini', 'openai', 'xai']\n[]\n" == run.stdout


async def test_an_opening_that_failed_can_be_tried_again(tmp_path, monkeypatch):
    """After the reason is gone the same client opens, with its plugins loaded once."""
    information = tmp_path / "packages/quiet-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: quiet\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[tertulia.plugins]\nquiet = quiet_plugin:Plugin\n")
    (tmp_path / "packages/quiet_plugin.py").write_text(
        "import tertulia\n\n\nclass Plugin:\n    TERTULIA_API = 1\n\n"
        "    @tertulia.hookimpl\n    def observe(self, notice):\n        pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "packages")
    folder = tmp_path / "conversations.db"
    folder.mkdir()
    client = tertulia.open(store=f"sqlite:///{folder}", providers={}, environ={})
    with pytest.raises(tertulia.StoreError, match="is a folder"):
        await client.__aenter__()
    folder.rmdir()

    async with client:
        reports = [(report.name, report.status) for report in client.plugins() if report.kind == "plugin"]

    assert [("quiet", "loaded")] == reports
