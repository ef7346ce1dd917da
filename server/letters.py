"""Letters and text messages: what they say to an account's owner, and the port by which they leave.

With MARQUEE_SMTP_URL letters go to that server; without it, and texts in any case, they become files that a developer
can open.
"""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

SMTP_SECONDS_MAX: Final = 20
PAUSES_S: Final = (1.0, 5.0)
"""Before the second and the third attempt at a server that could not take a letter just now."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`id` becomes the Message-ID: the same letter sent twice shows as one."""

    id: str
    to: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A message to a phone number."""

    id: str
    to: str
    text: str


class Post(Protocol):
    async def send(self, letter: Letter) -> None: ...


class Texts(Protocol):
    async def send(self, text: Text) -> None: ...


class LetterFolder:
    """Letters as `.eml` files."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        content = envelope(letter, self._sender).as_bytes()
        await asyncio.to_thread(_put, self._folder / f"{letter.id}.eml", content)


class TextFolder:
    """Text messages as files: the number, an empty line, the text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, text: Text) -> None:
        await asyncio.to_thread(_put, self._folder / f"{text.id}.txt", f"{text.to}\n\n{text.text}\n".encode())


class SmtpPost:
    """Letters over SMTP: `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…`."""

    def __init__(self, url: str, sender: str, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._sender = sender
        self._pauses_s = pauses_s
        self._host = parts.hostname
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, letter: Letter) -> None:
        message = envelope(letter, self._sender)
        for pause in self._pauses_s:
            try:
                await self._hand_over(message)
            except (aiosmtplib.SMTPException, OSError) as error:
                if not _is_passing(error):
                    raise
                await asyncio.sleep(pause)
            else:
                return
        await self._hand_over(message)

    async def _hand_over(self, message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            timeout=SMTP_SECONDS_MAX,
        )


def sender_at(public_url: str | None) -> str:
    """Who writes: the house, at the host that people know."""
    host = urlsplit(public_url or "").hostname or "localhost"
    return f"Marquee <no-reply@{host}>"


def envelope(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP if letter.to.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = formatdate(_minted_at(letter.id), usegmt=True)
    message["Message-ID"] = f"<{letter.id}@marquee>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def reset_letter(letter_id: str, to: str, link: str) -> Letter:
    return Letter(
        letter_id,
        to,
        "Choose a new password",
        "Somebody, hopefully you, asked for a new password for this address.\n\n"
        f"Choose one here within an hour:\n{link}\n\n"
        "If it was not you, there is nothing to do: the old password goes on working.\n",
    )


def welcome_letter(letter_id: str, to: str, link: str) -> Letter:
    return Letter(
        letter_id,
        to,
        "Is this your address?",
        f"Please confirm within a day that this address is yours:\n{link}\n\n"
        "If you did not make an account, there is nothing to do.\n",
    )


def changed_letter(letter_id: str, to: str) -> Letter:
    return Letter(
        letter_id,
        to,
        "Your password was changed",
        "The password of your account was changed and everybody else who was signed in has been signed out.\n\n"
        'If it was not you, choose a new one with "forgot password" on the sign-in page.\n',
    )


def approved_letter(letter_id: str, to: str, theatre: str) -> Letter:
    return Letter(letter_id, to, f"{theatre} is open", f"Your application was approved: you manage {theatre} now.\n")


def rejected_letter(letter_id: str, to: str, theatre: str, reason: str) -> Letter:
    text = f"Your application for {theatre} was not approved.\n\nThe reason: {reason}\n"
    return Letter(letter_id, to, f"Your application for {theatre}", text)


def code_text(text_id: str, to: str, code: str) -> Text:
    return Text(text_id, to, f"{code} is your Marquee code. It works for 5 minutes. Tell it to nobody.")


def _minted_at(letter_id: str) -> float:
    """Seconds since 1970: an id of ours begins with the milliseconds of its time."""
    return int(letter_id.replace("-", "")[:12], 16) / 1000


def _put(place: Path, content: bytes) -> None:
    """Whole or not at all, and for nobody else's eyes."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = place.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_bytes(content)
    partial.rename(place)


def _is_passing(error: Exception) -> bool:
    """Whether the same letter may well be taken a little later."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(_is_passing(refused) for refused in error.recipients)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return False
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return 400 <= error.code < 500
    return True
