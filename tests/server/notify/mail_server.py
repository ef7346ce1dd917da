"""A real SMTP server for tests, which can be told to behave badly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP

GONE = "gone"
"""Instead of an answer: the connection is cut after the whole letter has arrived."""


class MailServer:
    """`says` are answers to DATA, and `says_to` to RCPT, instead of the usual ones, in this order."""

    def __init__(self) -> None:
        self.says: list[str] = []
        self.says_to: list[str] = []
        self.arrived: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.connections = 0
        self.open = 0
        self.open_max = 0
        self.url = ""

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: object, envelope: Any, address: str, _options: object
    ) -> str:
        if self.says_to:
            return self.says_to.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: object, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        answer = self.says.pop(0) if self.says else "250 OK"
        if answer == GONE or answer.startswith("2"):
            self.arrived.append(BytesParser(EmailMessage, policy=default).parsebytes(envelope.content))
            self.recipients += envelope.rcpt_tos
        if answer == GONE:
            assert server.transport is not None
            server.transport.abort()
        return answer


class _Counted(SMTP):
    """Tells its house about connections."""

    def connection_made(self, transport: Any) -> None:
        house: MailServer = self.event_handler
        house.connections += 1
        house.open += 1
        house.open_max = max(house.open_max, house.open)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.open -= 1
        super().connection_lost(error)


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    house = MailServer()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Counted(house, enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    house.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield house
    server.close()
