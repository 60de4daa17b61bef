"""Fetching attachments: only where it was allowed, only from the open Internet, and never too much."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import attrs
import pytest

import tertulia
import tertulia.sync
from tertulia import (
    AttachmentError,
    Audio,
    Document,
    Image,
    MediaLimits,
    ProviderError,
    Text,
    UnsupportedMediaError,
)
from tertulia.runtime import fetching
from tertulia.runtime.fetching import Fetcher, Rules, find_place, is_public
from tertulia.runtime.http import fetch_once
from tertulia.testing import ScriptedProvider

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
PDF = b"%PDF-1.7\n"


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP answer with these headers."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    return answer(b"not this", f"{status} Found", Location=location)


class Site:
    """
    A web server on loopback, by path; one that has no answer says nothing more.

    Attributes:
        requests: What was asked, as it came.

        asked: Every name that was resolved.
    """

    def __init__(self) -> None:
        self.pages: dict[str, bytes | None] = {}
        self.requests: list[str] = []
        self.asked: list[str] = []
        self.names = {"public.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def rules(self) -> Rules:
        return Rules(
            schemes=frozenset({"http"}),
            ports=frozenset({self.port}),
            is_allowed=lambda address: is_public(address) or address == ip_address("127.0.0.1"),
            resolve=self.resolve,
        )

    def url(self, path: str, host: str = "public.test") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [request.split()[1] for request in self.requests]

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[host]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        page = self.pages.get(self.paths[-1], answer(status="404 Not Found"))
        if page is not None:
            writer.write(page)
            writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    yield site
    site.close()
    server.close()
    await server.wait_closed()


@pytest.fixture
def fetcher(site: Site) -> Fetcher:
    return Fetcher(site.rules)


BLOCKED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.19.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", BLOCKED)
def test_an_address_of_no_public_host_is_not_public(address):
    """Own machine, own network, its gateway, its cloud, everybody at once, nobody, and IPv4 inside IPv6."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::200e"]
)
def test_an_address_of_a_public_host_is_public(address):
    """Right beside what is blocked, too."""
    assert is_public(ip_address(address))


async def public(host: str) -> Sequence[str]:
    return ["93.184.215.14", "2606:2800:21f::1"]


STRICT = Rules(resolve=public)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/", "does not begin with https://"),
        ("file:///etc/passwd", "does not begin with https://"),
        ("gopher://127.0.0.1:6379/_x", "does not begin with https://"),
        ("//127.0.0.1/x", "does not begin with https://"),
        ("https://user:secret@example.com/", "has a user or a password in it"),
        ("https://example.com@127.0.0.1/", "has a user or a password in it"),
        ("https://127.0.0.1#@example.com/", "leads to 127.0.0.1"),
        ("https://example.com:8443/", "has port 8443, which is not fetched from"),
        ("https://example.com:80/", "has port 80, which is not fetched from"),
        ("https://example.com:x/", "is no address"),
        ("https://[::1/", "is no address"),
        ("https:///x", "has no host that is written plainly"),
        ("https://127.1/", "has no host that is written plainly"),
        ("https://2130706433/", "has no host that is written plainly"),
        ("https://0x7f000001/", "has no host that is written plainly"),
        ("https://0x7f.0.0.1/", "has no host that is written plainly"),
        ("https://0x7f.0x0/", "has no host that is written plainly"),
        ("https://0177.0.0.1/", "has no host that is written plainly"),
        ("https://127.0.0.1./", "has no host that is written plainly"),
        ("https://example.com.1/", "has no host that is written plainly"),
        ("https://exa mple.com/", "has no host that is written plainly"),
        ("https://exam%70le.com/", "has no host that is written plainly"),
        ("https://a..b/", "has no host that is written plainly"),
        ("https://[fe80::1%25eth0]/", "has no host that is written plainly"),
        ("https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "has no host that is written plainly"),
        ("https://[::ffff:7f00:1]/", "leads to ::ffff:"),
        ("https://169.254.169.254/latest/meta-data", "leads to 169.254.169.254"),
        ("https://[64:ff9b::a9fe:a9fe]/", "leads to 64:ff9b::a9fe:a9fe"),
    ],
)
async def test_an_address_that_leads_inside_is_refused(url, words):
    """However it is written, before anything is connected to; the error shows no password."""
    with pytest.raises(AttachmentError) as caught:
        await find_place(url, STRICT)

    assert words in str(caught.value)
    assert "secret" not in f"{caught.value}"
    assert "check the address, or attach the file itself" == caught.value.next_step


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        (["127.0.0.1"], "leads to 127.0.0.1, which is no address of the open Internet"),
        (["93.184.215.14", "10.0.0.1"], "leads to 10.0.0.1"),
        (["fe80::1%eth0"], "leads to fe80::1%eth0"),
        (["nonsense"], "leads to nonsense"),
        ([], "has a host without an address"),
    ],
)
async def test_a_name_of_an_inner_host_is_refused(addresses, words):
    """One address of the host is enough, wherever the others are."""

    async def resolve(host: str) -> Sequence[str]:
        return addresses

    with pytest.raises(AttachmentError, match=words):
        await find_place("https://rebinding.test/", Rules(resolve=resolve))


@pytest.mark.parametrize(
    ("url", "place", "host"),
    [
        ("https://Example.COM/a b?q=ü#part", "https://example.com/a%20b?q=%C3%BC", "example.com"),
        ("https://example.com", "https://example.com/", "example.com"),
        ("https://example.com:443/a%2Fb", "https://example.com:443/a%2Fb", "example.com"),
        ("https://münchen.example/x", "https://xn--mnchen-3ya.example/x", "xn--mnchen-3ya.example"),
        ("https://example.com./", "https://example.com./", "example.com."),
        ("https://my_files.example/", "https://my_files.example/", "my_files.example"),
        ("https://0xcafe.example/", "https://0xcafe.example/", "0xcafe.example"),
    ],
)
async def test_a_public_address_is_asked_for_as_it_was_checked(url, place, host):
    """The host in ASCII, the path encoded once, the fragment left out, and every address of the host."""
    found = await find_place(url, STRICT)

    assert (place, host, ("93.184.215.14", "2606:2800:21f::1")) == (found.url, found.host, found.addresses)


async def test_an_address_in_numbers_is_not_looked_up():
    """It is its own address."""
    assert ("https://[2606:4700::1]/", "2606:4700::1", ("2606:4700::1",)) == (
        (found := await find_place("https://[2606:4700:0::1]/", STRICT)).url,
        found.host,
        found.addresses,
    )


async def test_the_system_is_asked_for_a_host():
    """Without another resolver, and what it finds is refused where it is inside."""
    with pytest.raises(AttachmentError, match=r"https://localhost/ leads to .*1, which is no address"):
        await find_place("https://localhost/", Rules())


@pytest.mark.skipif("TERTULIA_TEST_DATA" not in os.environ, reason="needs TERTULIA_TEST_DATA")
async def test_the_collected_addresses_lead_nowhere(site):
    """Each hostile address is refused, and each hostile redirect, also where plain HTTP is allowed."""
    cases = json.loads((Path(os.environ["TERTULIA_TEST_DATA"]) / "security_cases.json").read_text())

    async def resolve(host: str) -> Sequence[str]:
        return ["169.254.169.254"]  # as a cloud's metadata server is found, and nothing else is looked up

    lenient = Rules(frozenset({"http", "https"}), resolve=resolve)

    for case in cases["ssrf_urls"]:
        if case["expected"] == "allowed":
            assert (await find_place(case["url"], STRICT)).url == case["url"]
            continue
        for rules in (STRICT, lenient):
            with pytest.raises(AttachmentError):
                await find_place(case["url"], rules)
    for case in cases["ssrf_redirects"]:
        site.pages["/a"] = redirect(case["location"])
        with pytest.raises(AttachmentError, match=r"is no address of the open|does not begin|which is not"):
            await Fetcher(site.rules).fetch(Image(url=site.url("/a")))
    assert len(cases["ssrf_redirects"]) == len(site.requests) >= 3


async def test_what_is_at_an_address_is_fetched(fetcher, site):
    """The type is told from the content, what the part said is kept, and nothing of ours goes along."""
    site.pages["/a.pdf?key=1"] = answer(PNG, Content_Type="application/pdf", Set_Cookie="a=b")
    url = site.url("/a.pdf?key=1")

    assert Image(PNG, "image/png", detail="low") == await fetcher.fetch(Image(url=url, detail="low"))

    (request,) = site.requests
    assert {
        f"host: public.test:{site.port}",
        "accept: */*",
        "accept-encoding: identity",
        "user-agent: tertulia",
        "connection: close",
    } == {line.lower() for line in request.split("\r\n")[1:] if line}


async def test_no_proxy_of_the_environment_is_asked(fetcher, site, monkeypatch):
    """A proxy would look the host up again, and connect to wherever it likes."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.pages["/a"] = answer(PNG)

    assert PNG == (await fetcher.fetch(Image(url=site.url("/a")))).data


async def test_only_what_was_checked_is_connected_to(fetcher, site, monkeypatch):
    """The host is looked up once: one that answers differently the second time gains nothing by it."""
    site.pages["/a"] = answer(PNG)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("looked up again"))

    await fetcher.fetch(Image(url=site.url("/a")))

    assert ["public.test"] == site.asked
    with pytest.raises(ProviderError, match="cannot be written as HTTP"):
        await fetch_once(site.url("/a"), "other.test", ["127.0.0.1"], max_bytes=100)
    with pytest.raises(ProviderError, match=r"cannot connect to public\.test"):
        await fetch_once(site.url("/a"), "public.test", ["::1"], max_bytes=100)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")
async def test_a_certificate_is_checked(site, tmp_path):
    """Who cannot prove to be the host that was named is told nothing."""
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=public.test"
    files = (tmp_path / "key.pem", tmp_path / "certificate.pem")
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", *made.split(), "-keyout", files[0], "-out", files[1]],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    rules = attrs.evolve(site.rules, schemes=frozenset({"https"}), ports=frozenset({port}))

    with pytest.raises(AttachmentError, match=r"cannot connect to public\.test.*certificate"):
        await Fetcher(rules).fetch(Image(url=f"https://public.test:{port}/a"))

    assert [] == site.requests
    server.close()
    await server.wait_closed()


async def test_redirects_are_followed_with_every_check(fetcher, site):
    """Up to three, relative ones too, each host looked up and checked."""
    site.pages |= {
        "/1": redirect("/2", 301),
        "/2": redirect(f"//other.test:{site.port}/x/3", 307),
        "/x/3": redirect("4?a=b", 308),
        "/x/4?a=b": answer(PDF),
    }

    assert Document(PDF, "application/pdf", name="m.pdf") == await fetcher.fetch(
        Document(url=site.url("/1"), name="m.pdf")
    )
    assert ["public.test", "public.test", "other.test", "other.test"] == site.asked


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://169.254.169.254:{port}/", "leads to 169.254.169.254"),
        ("http://127.0.0.1/", "has port 80, which is not fetched from"),
        ("http://[::1]:{port}/", "leads to ::1"),
        ("http://inner.test:{port}/", "leads to 10.0.0.1"),
        ("http://nowhere.test:{port}/", "has a host that is not found"),
        ("https://public.test:{port}/", "does not begin with http://"),
        ("file:///etc/passwd", "does not begin with http://"),
        ("http://me:secret@public.test:{port}/", "has a user or a password in it"),
        ("http://[", "redirects to what is no address"),
        ("/start", "redirects more than 3 times"),
        ("", "answered with status 302"),
    ],
)
async def test_a_redirect_does_not_lead_inside(fetcher, site, location, words):
    """Nor round in circles: what is refused at first is refused later, and nobody there is asked."""
    site.names["inner.test"] = ["10.0.0.1"]
    site.pages["/start"] = redirect(location.format(port=site.port))

    with pytest.raises(AttachmentError) as caught:
        await fetcher.fetch(Image(url=site.url("/start")))

    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert {"/start"} == set(site.paths)


async def test_a_redirect_to_what_is_no_text_is_refused(fetcher, site):
    """Its bytes are shown as far as they can be."""
    site.pages["/start"] = redirect("/XX").replace(b"/XX", b"/\xff\xfe")

    with pytest.raises(AttachmentError, match="is no address") as caught:
        await fetcher.fetch(Image(url=site.url("/start")))

    assert str(caught.value).encode()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (answer(status="404 Not Found"), "answered with status 404"),
        (answer(PNG, status="206 Partial Content"), "answered with status 206"),
        (answer(b""), "is empty"),
        (answer(PDF), "is application/pdf, so it is no image; attach it as tertulia.Document"),
        (answer(b"\x00\x01"), "is of no known type"),
        (answer(bytes(200)), "cannot be fetched: it is larger than 100 bytes"),
        (answer(bytes(50), Content_Length="9" * 12), "cannot be fetched: it is larger than 100 bytes"),
        (answer(bytes(200), Transfer_Encoding="chunked", Content_Length="0"), "cannot be fetched: "),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"32\r\n" + bytes(50) + b"\r\n" * 1,
            "cannot be fetched: the body of the answer is broken or cut",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"32\r\n" + bytes(50) + b"\r\n") * 4,
            "cannot be fetched: it is larger than 100 bytes",
        ),
        (answer(PNG, Content_Encoding="gzip"), "cannot be fetched: it came compressed"),
        (answer(PNG, Content_Length="100"), "cannot be fetched: the body of the answer is broken or cut"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "cannot be fetched: the answer is not valid HTTP"),
        (b"", "cannot be fetched: the connection broke"),
    ],
)
async def test_what_is_not_there_or_too_much_is_refused(site, page, words):
    """The error says what came instead; no more than the limit is read."""
    site.pages["/a"] = page

    with pytest.raises(AttachmentError) as caught:
        await Fetcher(site.rules, max_bytes=100).fetch(Image(url=site.url("/a?")))

    assert words in str(caught.value)
    assert f"public.test:{site.port}/a" in str(caught.value)


async def test_nobody_is_waited_for_without_end(site):
    """Neither longer than the fetcher waits, nor beyond the deadline of the send."""
    site.pages["/a"] = None
    now = asyncio.get_running_loop().time()

    for fetcher, deadline in ((Fetcher(site.rules, timeout=0.05), None), (Fetcher(site.rules), now + 0.05)):
        with pytest.raises(AttachmentError, match="/a was not fetched in time"):
            await asyncio.wait_for(fetcher.fetch(Image(url=site.url("/a")), deadline=deadline), 5)


async def test_what_was_fetched_is_kept_for_the_next_request(fetcher, site, monkeypatch):
    """Until newer files take its place: each request of a conversation carries all attachments."""
    monkeypatch.setattr(fetching, "_KEPT_BYTES", 40)
    for name in "abc":
        site.pages[f"/{name}"] = answer(PNG + name.encode())

    for name in "abacab":
        assert PNG + name.encode() == (await fetcher.fetch(Image(url=site.url(f"/{name}")))).data

    assert ["/a", "/b", "/c", "/b"] == site.paths


class Homely(ScriptedProvider):
    """Fetches no addresses."""

    IMAGES = MediaLimits(frozenset({"image/png"}), max_bytes=20)
    MODELS = ()


class Far(ScriptedProvider):
    """Fetches addresses itself."""

    IMAGES = MediaLimits(frozenset({"image/png"}), urls=True)
    MODELS = ()


@pytest.fixture
def homely() -> Homely:
    return Homely("homely")


@pytest.fixture
def far() -> Far:
    return Far("far")


@pytest.fixture
async def client(homely, far, database, site) -> AsyncIterator[tertulia.Client]:
    """A client that fetches, and that may fetch from the site."""
    async with tertulia.open(
        store=database, providers={}, plugins=[homely, far], environ={}, fetch_urls=True
    ) as client:
        client._core.fetcher = Fetcher(site.rules)
        yield client


async def test_without_the_option_nothing_is_fetched(site, homely, database):
    """An address is refused where nobody fetches it, and the error says how to have it fetched."""
    async with tertulia.open(store=database, providers={}, plugins=[homely], environ={}) as client:
        assert client._core.fetcher is None
        with pytest.raises(UnsupportedMediaError, match="only as bytes") as caught:
            await client.ask("?", provider="homely", attach=site.url("/a.png"))

    assert "attach the file itself, or open the client with fetch_urls=True" == caught.value.next_step
    assert ([], []) == (site.requests, site.asked)


async def test_with_the_option_it_goes_through_the_guard(homely, database):
    """What a client fetches with by itself lets nothing lead inside."""
    async with tertulia.open(
        store=database, providers={}, plugins=[homely], environ={}, fetch_urls=True
    ) as client:
        with pytest.raises(UnsupportedMediaError, match=r"^https://127\.0\.0\.1/a\.png leads to"):
            await client.ask("?", provider="homely", attach="https://127.0.0.1/a.png")


async def test_an_address_is_fetched_for_who_does_not_fetch_it(client, homely, far, site):
    """The bytes are sent in its place; the message keeps the address, which the other one is sent."""
    site.pages["/a.png"] = answer(PNG)
    picture = Image(url=site.url("/a.png"))
    homely.says("A dot.").says("Red.")
    far.says("Still a dot.")
    conversation = await client.start(provider="homely")

    await conversation.send("What is this?", attach=picture)
    await conversation.send("Which colour?")
    await conversation.switch("far")
    await conversation.send("And now?")

    sent = (Image(PNG, "image/png"), Text("What is this?"))
    assert [sent, sent] == [request.messages[0].parts for request in homely.requests]
    assert picture == far.requests[0].messages[0].parts[0] == (await conversation.history())[0].parts[0]
    assert ["/a.png"] == site.paths


async def test_what_cannot_be_fetched_falls_back_to_who_fetches_it(client, homely, far, site):
    """The first provider is not asked, at no cost, and the other one is given the address."""
    far.says("A dot.")
    conversation = await client.start(provider="homely")

    reply = await conversation.send("?", attach=Image(url=site.url("/gone.png")), fallback=["far"])

    assert ("far", []) == (reply.provider, homely.requests)
    why = "answered with status 404, and homely/scripted-1 fetches no images itself, so nothing was sent"
    assert f"{site.url('/gone.png')} {why}" == reply.attempts[0].error_message


async def test_what_is_gone_further_back_becomes_a_note(client, homely, far, site):
    """A conversation outlives the addresses in it."""
    far.says("A dot.")
    homely.says("I was told.")
    conversation = await client.start(provider="far")
    await conversation.send("What is this?", attach=Image(url=site.url("/gone.png?key=secret")))
    await conversation.switch("homely")

    reply = await conversation.send("And now?")

    shown = site.url("/gone.png")
    assert Text(f"[image at {shown}] which you cannot see") == homely.requests[0].messages[0].parts[0]
    why = f"{shown} answered with status 404, and homely/scripted-1 fetches no images itself"
    assert (f"[image at {shown}] was replaced by a note: {why}",) == reply.warnings


async def test_what_was_fetched_has_the_limits_of_a_file(client, homely, site):
    """Too large, or of another type than the provider takes, it is refused as a file would be."""
    site.pages |= {"/a.png": answer(PNG + bytes(10)), "/a.gif": answer(b"GIF89a" + bytes(5))}
    conversation = await client.start(provider="homely")

    with pytest.raises(tertulia.TooLargeError, match="is more than the 20 bytes"):
        await conversation.send("?", attach=Image(url=site.url("/a.png")))
    with pytest.raises(UnsupportedMediaError, match="takes image/png, and not image/gif"):
        await conversation.send("?", attach=Image(url=site.url("/a.gif")))
    assert [] == homely.requests


async def test_nothing_is_fetched_for_who_takes_no_such_thing(client, homely, site):
    """Sound for a provider that takes none; but a text, which can be sent as words, is fetched."""
    homely.says("Two.")
    site.pages["/prices.csv"] = answer(b"a,2")
    conversation = await client.start(provider="homely")

    with pytest.raises(UnsupportedMediaError, match="homely/scripted-1 takes no sound"):
        await conversation.send("?", attach=Audio(url=site.url("/a.mp3")))
    await conversation.send("?", attach=Document(url=site.url("/prices.csv"), name="prices.csv"))

    assert ["/prices.csv"] == site.paths
    assert (
        Text('<document name="prices.csv" type="text/csv">\na,2\n</document>\n')
        == (homely.requests[0].messages[-1].parts[0])
    )


async def test_what_was_fetched_does_not_burst_the_budget(homely, site, database):
    """How long it is was not known when the context was chosen: more than is allowed is not sent."""
    homely.says("Short.")
    site.pages |= {"/short.txt": answer(b"word " * 10), "/long.txt": answer(b"word " * 40_000)}
    async with tertulia.open(
        store=database, providers={}, plugins=[homely], environ={}, fetch_urls=True, max_context_tokens=20_000
    ) as client:
        client._core.fetcher = Fetcher(site.rules)
        await client.ask("?", provider="homely", attach=Document(url=site.url("/short.txt")))
        with pytest.raises(tertulia.ContextOverflowError, match="and 20,000 are allowed") as caught:
            await client.ask("?", provider="homely", attach=Document(url=site.url("/long.txt")))

    assert (20_000, 1, True) == (
        caught.value.budget,
        len(homely.requests),
        30_000 < caught.value.parts["request"] < 60_000,
    )


def test_a_client_fetches_where_its_user_says_so(tmp_path):
    """The argument is over the file; nothing said is no; and only true and false are understood."""
    file = tmp_path / "config.toml"
    file.write_text("fetch_urls = true")

    def allowed(**arguments) -> bool:
        return tertulia.open(providers={}, environ={}, **arguments)._config.fetch_urls

    assert [False, True, True, False] == [
        allowed(),
        allowed(fetch_urls=True),
        allowed(config=file),
        allowed(config=file, fetch_urls=False),
    ]
    assert tertulia.Setting("fetch_urls", True, f"{file} line 1") in tertulia.read_settings(config=file)
    for wrong in ('"yes"', "1"):
        file.write_text(f"fetch_urls = {wrong}")
        with pytest.raises(tertulia.ConfigurationError, match="line 1: fetch_urls must be true or false"):
            allowed(config=file)


def test_a_project_does_not_make_a_client_fetch(tmp_path, monkeypatch):
    """Whoever clones a repository has not allowed it."""
    (tmp_path / "pyproject.toml").write_text("[tool.tertulia]\nfetch_urls = true")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(tertulia.ConfigurationError, match="fetch_urls is not a project's to set"):
        tertulia.open(providers={})


async def test_the_blocking_twin_fetches_too(site, homely, database):
    """The option is the same there."""
    with tertulia.sync.open(
        store=database, providers={}, plugins=[homely], environ={}, fetch_urls=True
    ) as client:
        assert client._twin._core.fetcher is not None
