"""The ways by which letters leave: to a mail server, or into a folder where a developer can open them."""

import asyncio
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTP

from actors.ports import Clock, Handle
from server.notify.envelopes import Letter, address_of, name_of

CONNECTIONS_MAX: Final = 4
IDLE_MS_MAX: Final = 15_000
SMTP_SECONDS_MAX: Final = 30


class NotNow(Exception):
    """It was not taken, or nobody knows whether it was: the same once more, later. Says nothing about anybody."""


class Never(Exception):
    """It was refused for good. Says nothing about anybody."""


class Post(Protocol):
    async def send(self, letter: Letter) -> None:
        """NotNow or Never."""
        ...

    def close(self) -> None: ...


class LetterFolder:
    """Letters as `.eml` files, the oldest first by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, letter: Letter) -> None:
        place = self._folder / f"{letter.at}.{name_of(letter.key)}.eml"
        await asyncio.to_thread(put_file, place, letter.content)

    def close(self) -> None:
        """Nothing is open."""


class SmtpPost:
    """Letters over SMTP: `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…`.

    A few connections at once. One that is free is kept for a while, because greeting a server takes longer than handing
    over a letter.
    """

    def __init__(self, url: str, sender: str, clock: Clock) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._sender = address_of(sender)
        self._clock = clock
        self._host = parts.hostname
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)
        self._free: list[SMTP] = []
        self._idle: Handle | None = None

    async def send(self, letter: Letter) -> None:
        async with self._places:
            client = await self._connection()
            try:
                await self._hand_over(client, letter)
            except BaseException:
                client.close()  # nobody knows where the conversation stands
                raise
            self._keep(client)

    def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        for client in self._free:
            client.close()
        self._free.clear()

    async def _hand_over(self, client: SMTP, letter: Letter) -> None:
        options = () if letter.to.isascii() else ("SMTPUTF8",)
        if options and not client.supports_extension("smtputf8"):
            raise Never("the mail server takes no addresses with letters beyond ASCII")
        try:
            await client.sendmail(self._sender, [letter.to], letter.content, mail_options=options)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _verdict(refused.recipients[0]) from None  # its text would name the recipient
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _verdict(error) from None

    async def _connection(self) -> SMTP:
        """One that was kept and still answers, or a new one. NotNow."""
        while self._free:
            client = self._free.pop()
            try:
                await client.noop()
            except (aiosmtplib.SMTPException, OSError):
                client.close()
            else:
                return client
        client = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            timeout=SMTP_SECONDS_MAX,
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise NotNow(f"the mail server cannot be reached: {_said(error)}") from None
        return client

    def _keep(self, client: SMTP) -> None:
        self._free.append(client)
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._clock.call_at(self._clock.now() + IDLE_MS_MAX, self.close)


def put_file(place: Path, content: bytes) -> None:
    """Whole or not at all, and for nobody else's eyes."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = place.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_bytes(content)
    partial.rename(place)


def _verdict(error: Exception) -> NotNow | Never:
    """A server's 5xx about this letter is final; about us, or without an answer, it is not."""
    ours = isinstance(error, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPAuthenticationError)
    if isinstance(error, aiosmtplib.SMTPResponseException) and 500 <= error.code < 600 and not ours:
        return Never(f"the mail server refused it: {error.code}")
    return NotNow(f"the mail server did not take it: {_said(error)}")


def _said(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return str(error.code)
    return type(error).__name__
