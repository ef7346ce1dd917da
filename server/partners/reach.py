"""Whom partners may have us talk to: public addresses, over TLS, and nobody inside.

An address of a partner is a text from outside that makes this server connect somewhere. So it is read strictly, its
name is looked up anew for each message, every address that the name has must be public, and the connection goes to one
of these very addresses (`courier.py`), whatever the name says a moment later.
"""

import asyncio
import re
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Protocol

from yarl import URL

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_LENGTH_MAX: Final = 2_000
PORTS: Final = frozenset((443, 8443))
LOOKUPS_AT_ONCE: Final = 16
LOOKUP_SECONDS_MAX: Final = 5

_HIDDEN_4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # the host agent of Azure's machines
        "169.254.0.0/16",  # metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""IANA's addresses for special purposes, and those of clouds' own helpers."""

_GLOBAL_6: Final = IPv6Network("2000::/3")
"""Mapped, NAT64, local and link-local addresses lie outside; those that carry IPv4 ones inside are named below."""

_HIDDEN_6: Final = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_is_readable: Final = re.compile(
    r"https?://(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:[/?][!\"$-~]*)?"
).fullmatch
_is_label: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9])?").fullmatch
_is_numeric: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?").fullmatch
"""What anybody takes for an IPv4 address in some spelling: its last part is a number."""

NAME_LENGTH_MAX: Final = 253
_NOT_THERE: Final = "The address must be a public one that is reached over https, port 443 or 8443."
"""Also where nobody is: who asks about names inside hears nothing about them."""


class OutOfReach(Exception):
    """We do not go there. The message is a sentence for whoever gave the address."""


class Names(Protocol):
    """Where names are looked up."""

    async def look_up(self, name: str) -> Sequence[str]:
        """The addresses of a name, none when there is no such name."""
        ...


class SystemNames:
    """The machine's own way of looking up names, in threads that nobody else waits for."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="names")

    async def look_up(self, name: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS_MAX):
                found = await loop.run_in_executor(self._threads, _look_up, name)
        except (OSError, UnicodeError, TimeoutError):
            return ()
        return tuple(dict.fromkeys(str(place[4][0]) for place in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far we go. `allowed` are networks that a developer's or a test's partner lives in: there plain HTTP and any
    port are allowed too."""

    names: Names
    allowed: tuple[Network, ...] = ()

    def read(self, url: str) -> URL:
        """The address as it is spelled, before any name is looked up. OutOfReach."""
        if len(url) > URL_LENGTH_MAX or not _is_readable(url):
            raise OutOfReach("It must look like https://partner.example/path: plain ASCII, no user, no fragment.")
        try:
            read = URL(url)
            host, port = read.raw_host or "", read.port or 0
        except ValueError:
            raise OutOfReach("This address cannot be read.") from None
        if read.scheme != "https" and not self.allowed:
            raise OutOfReach("The address must begin with https://.")
        literal = _literal(host)
        if literal is not None:
            self._demand((literal,), port, tls=read.scheme == "https")
        elif port not in PORTS and not self.allowed:
            raise OutOfReach("The port must be 443 or 8443.")
        return read

    async def addresses(self, url: URL) -> tuple[str, ...]:
        """The addresses that this leads to now, all of which are within reach. OutOfReach."""
        host = url.raw_host or ""
        literal = _literal(host)
        found = (literal,) if literal is not None else tuple(_parsed(await self.names.look_up(host)))
        if not found:
            raise OutOfReach(_NOT_THERE)
        self._demand(found, url.port or 0, tls=url.scheme == "https")
        return tuple(str(each) for each in found)

    def _demand(self, found: Iterable[Address], port: int, *, tls: bool) -> None:
        for address in found:
            allowed = any(address in network for network in self.allowed)
            if not allowed and not (tls and port in PORTS and is_public(address)):
                raise OutOfReach(_NOT_THERE)


def is_public(address: Address) -> bool:
    """Whether this is an address of the open Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _HIDDEN_4)
    return address in _GLOBAL_6 and not any(address in network for network in _HIDDEN_6)


def _literal(host: str) -> Address | None:
    """The address that a host is written as; None for a name. OutOfReach for what is neither."""
    if ":" in host or _is_numeric(host):
        try:
            return ip_address(host)
        except ValueError:
            raise OutOfReach("An IP address must be written in its usual form.") from None
    if len(host) > NAME_LENGTH_MAX or not all(map(_is_label, host.split("."))):
        raise OutOfReach("This is not the name of a host.")
    return None


def _parsed(found: Sequence[str]) -> Iterable[Address]:
    for text in found:
        try:
            yield ip_address(text)
        except ValueError:
            raise OutOfReach(_NOT_THERE) from None


def _look_up(name: str) -> list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)  # type: ignore[return-value]
