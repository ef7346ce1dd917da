"""Carries one message to one partner, and says what came of it. Never raises for what a partner does.

The connection goes to an address that was checked a moment ago and to no other: the connector is given these addresses
instead of a way to look up names, and every socket is checked once more before it connects. Nothing of what a partner
answers is followed, kept or unpacked, except the status and the first bytes for the partner to see.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from server.life import VERSION
from server.partners.reach import OutOfReach, Reach

SECONDS_MAX: Final = 10.0
"""Until the answer has begun."""

ANSWER_SECONDS_MAX: Final = 2.0
ANSWER_BYTES_MAX: Final = 1_024
RETRY_AFTER_SECONDS_MAX: Final = 86_400
GONE: Final = 410

HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": f"Marquee-Webhooks/{VERSION}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. `status` None: there was no answer, and `error` says why in one word."""

    status: int | None
    answer: bytes = b""
    error: str = ""
    retry_after_s: int = 0

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Courier:
    """`tls` None: whom the machine trusts."""

    def __init__(self, reach: Reach, seconds: float = SECONDS_MAX, tls: SSLContext | None = None) -> None:
        self.reach = reach
        self._seconds = seconds
        self._tls = tls

    async def carry(self, address: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        try:
            async with asyncio.timeout(self._seconds) as limit:
                url = self.reach.read(address)
                return await self._post(url, await self.reach.addresses(url), headers, body, limit)
        except OutOfReach:
            return Outcome(None, error="address_refused")
        except TimeoutError:
            return Outcome(None, error="timeout")
        except ClientSSLError:
            return Outcome(None, error="tls_failed")
        except (ClientConnectorError, OSError):
            return Outcome(None, error="connection_failed")
        except (ClientError, ValueError):
            return Outcome(None, error="answer_malformed")

    async def _post(
        self, url: URL, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, limit: asyncio.Timeout
    ) -> Outcome:
        connector = TCPConnector(
            resolver=_Checked(addresses),
            socket_factory=lambda place: _opened(place, addresses),
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls or True,
        )
        async with ClientSession(
            connector=connector,
            timeout=ClientTimeout(total=None),  # the whole errand has one
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            headers=HEADERS,
        ) as session:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                limit.reschedule(None)  # it has arrived or not: the rest of the answer has a limit of its own
                answer = await _beginning(response)
                error = "" if 200 <= response.status < 300 else "redirected" if response.status < 400 else "refused"
                return Outcome(response.status, answer, error, _retry_after(response))


class _Checked(AbstractResolver):
    """Knows only addresses that were looked up and checked before."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""


def _opened(place: tuple[Any, ...], addresses: Sequence[str]) -> socket.socket:
    """A socket for this place, if it is one of those that were checked."""
    family, kind, protocol, _, address = place
    if address[0] not in addresses:
        raise OutOfReach(str(address[0]))
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)  # noqa: FBT003
    return opened


async def _beginning(response: ClientResponse) -> bytes:
    """The first bytes of the answer. That they are late or broken does not change what the status said."""
    read = bytearray()
    with suppress(ClientError, TimeoutError, OSError):
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while len(read) < ANSWER_BYTES_MAX and (piece := await response.content.read(ANSWER_BYTES_MAX - len(read))):
                read += piece
    return bytes(read)


def _retry_after(response: ClientResponse) -> int:
    """How many seconds the partner asks for, 0 if it does not say."""
    text = response.headers.get("Retry-After", "")
    return min(int(text), RETRY_AFTER_SECONDS_MAX) if len(text) < 9 and text.isascii() and text.isdigit() else 0
