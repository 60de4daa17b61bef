"""
Fetching the address of an attachment, guarded: whoever names an address may not reach into this network.

Nothing is fetched unless the client was opened with ``fetch_urls=True``.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import attrs

from tertulia.domain.media import Media, hide_query
from tertulia.errors import AttachmentError, ProviderError
from tertulia.runtime.attachments import identify

MAX_BYTES = 50 * 2**20
MAX_REDIRECTS = 3
TIMEOUT_SECONDS = 30.0

Address: TypeAlias = IPv4Address | IPv6Address
Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]

_DEFAULT_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT_BYTES = 64 * 2**20
_SAFE = "/%:@!$&'()*+,;=~-._"

# Written out, because what the standard library calls global has changed between Python's versions.
_SPECIAL_V4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's metadata service, at an address that is otherwise public
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
_GLOBAL_V6 = ip_network("2000::/3")
_SPECIAL_V6 = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # Teredo among them, which carries an IPv4 address
            "2001:db8::/32",
            "2002::/16",  # 6to4, which carries an IPv4 address
            "3fff::/20",
        ),
    )
)


def is_public(address: Address) -> bool:
    """
    Whether an address is one of the open Internet.

    Of IPv6 only the range is taken that is given out: none that carries an IPv4 address, mapped, translated
    or tunnelled, which would lead past these checks.

    Example:
        >>> is_public(IPv4Address("93.184.215.14")), is_public(IPv6Address("::ffff:127.0.0.1"))
        (True, False)
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _SPECIAL_V6)


async def resolve(host: str) -> Sequence[str]:
    """Ask the system for the addresses of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@attrs.frozen
class Rules:
    """
    Where an address may lead. A test that fetches from its own machine loosens them.

    Attributes:
        schemes: Without encryption anybody between may change what comes.

        ports: None for the one that belongs to the scheme.

        is_allowed: Whether a host's address may be connected to.

        resolve: Finds the addresses of a host. It is asked once, and only what it answered is connected to.
    """

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | None = None
    is_allowed: Callable[[Address], bool] = is_public
    resolve: Resolve = resolve


@attrs.frozen
class Place:
    """
    Where to connect, once everything about an address was checked.

    Attributes:
        url: As it is asked for, with the host as it was checked and without a fragment.

        host: In ASCII.

        addresses: All that the host has; each was checked.
    """

    url: str
    host: str
    addresses: tuple[str, ...]


async def find_place(url: str, rules: Rules) -> Place:
    """
    Check an address, and find out where it leads.

    Raises:
        AttachmentError: It leads, or may lead, where nobody outside has any business.
    """
    parts, host = _split(url, rules)
    try:
        addresses = [str(ip_address(host))]
    except ValueError:
        addresses = await _resolve(url, host, rules)
    for address in addresses:
        if not _may_connect(address, rules):
            raise _refuse(url, f"leads to {address}, which is no address of the open Internet")
    shown = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=f"{_SAFE}?")
    place = f"{parts.scheme}://{shown}{port}{path}"
    return Place(f"{place}?{query}" if query else place, host, tuple(addresses))


def _split(url: str, rules: Rules) -> tuple[SplitResult, str]:
    try:
        url.encode()  # a redirect may hold any bytes
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise _refuse(url, "is no address") from error
    if parts.scheme not in rules.schemes:
        raise _refuse(url, f"does not begin with {' or '.join(sorted(rules.schemes))}://")
    if "@" in parts.netloc:
        raise _refuse(url, "has a user or a password in it")
    allowed = rules.ports or {_DEFAULT_PORTS[parts.scheme]}
    if port not in allowed:
        raise _refuse(url, f"has port {port}, which is not fetched from")
    host = _plain_host(parts.hostname or "")
    if host is None:
        raise _refuse(url, "has no host that is written plainly")
    return parts, host


def _plain_host(host: str) -> str | None:
    """A name or an IP address in the one way everybody reads it; None for ``127.1``, ``0x7f.1`` and such."""
    try:
        return str(ip_address(host)) if "%" not in host else None
    except ValueError:
        pass
    try:
        plain = host.encode("idna").decode().lower()
    except UnicodeError:
        return None
    # A last label of digits makes an IPv4 address of it for some readers, and none for others.
    if not re.fullmatch(r"([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9-]*[a-z][a-z0-9-]*\.?", plain):
        return None
    return None if re.fullmatch(r"(.*\.)?0x[0-9a-f]*\.?", plain) else plain


async def _resolve(url: str, host: str, rules: Rules) -> list[str]:
    try:
        addresses = list(await rules.resolve(host))
    except (OSError, UnicodeError) as error:
        raise _refuse(url, "has a host that is not found") from error
    if not addresses:
        raise _refuse(url, "has a host without an address")
    return addresses


def _may_connect(address: str, rules: Rules) -> bool:
    try:
        return rules.is_allowed(ip_address(address.partition("%")[0]))
    except ValueError:
        return False


class Fetcher:
    """
    Fetches attachments from their addresses, and keeps the newest in memory for the next request.

    Args:
        rules: Where an address may lead.
    """

    def __init__(
        self, rules: Rules = Rules(), *, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._rules = rules
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._kept: dict[str, bytes] = {}

    async def fetch(self, part: Media, *, deadline: float | None = None) -> Media:
        """
        Return an attachment with the bytes that are at its address, of the type that they are.

        Args:
            part: With an address.
            deadline: On the loop's clock; None for none but the fetcher's own.

        Raises:
            AttachmentError: The address is refused, cannot be fetched, or leads to something else.
        """
        url = part.url or ""
        data = self._kept.pop(url, None)
        if data is None:
            data = await self._get_in_time(url, deadline)
        self._keep(url, data)
        return identify(part, data, f"what is at {hide_query(url)}")

    def _keep(self, url: str, data: bytes) -> None:
        self._kept[url] = data
        while sum(map(len, self._kept.values())) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]

    async def _get_in_time(self, url: str, deadline: float | None) -> bytes:
        until = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(until if deadline is None else min(until, deadline)):
                return await self._get(url)
        except TimeoutError as error:
            raise _refuse(url, "was not fetched in time") from error

    async def _get(self, url: str) -> bytes:
        from tertulia.runtime.http import fetch_once  # not before it is needed: it loads the HTTP library

        at = url
        for _ in range(MAX_REDIRECTS + 1):
            place = await find_place(at, self._rules)
            try:
                found = await fetch_once(place.url, place.host, place.addresses, max_bytes=self._max_bytes)
            except ProviderError as error:
                raise _refuse(at, f"cannot be fetched: {error.message}") from error
            if found.status == 200:
                return found.body
            if found.status not in _REDIRECTS or not found.location:
                raise _refuse(at, f"answered with status {found.status}")
            at = _join(place.url, found.location)
        raise _refuse(url, f"redirects more than {MAX_REDIRECTS} times")


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise _refuse(url, "redirects to what is no address") from error


def _refuse(url: str, why: str) -> AttachmentError:
    shown = hide_query(url).encode("utf-8", "replace").decode()
    return AttachmentError(
        f"{shown} {why}", source=shown, next_step="check the address, or attach the file itself"
    )
