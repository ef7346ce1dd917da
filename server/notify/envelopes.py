"""Envelopes: a letter that has been set becomes a whole message, with both of its forms and its calendar file.

The Message-ID comes from the job's dedupe key and the date from the job's row, so a letter that had to be sent twice is
the same letter to every mailbox.
"""

from dataclasses import dataclass
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, parseaddr
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from actors.seatmap.terms import Instant
from server.notify.calendars import CalendarFile
from server.notify.press import Sheet

# "=_" cannot occur in what is written quoted-printable (RFC 2045, 6.7), so nobody has to look for it.
_FORMS: Final = "=_forms"
_PARTS: Final = "=_parts"


class _Headers(HeaderRegistry):
    """The library makes a new class for every line of a letter's head; a few classes are all there are."""

    @cache  # noqa: B019 (there is one registry, and a dozen names)
    def __getitem__(self, name: str) -> type[BaseHeader]:
        return super().__getitem__(name)


_PLAIN: Final = SMTP.clone(cte_type="7bit", header_factory=_Headers())
_INTERNATIONAL: Final = SMTPUTF8.clone(cte_type="7bit", header_factory=_Headers())


class NoAddress(Exception):
    """What stands where an address should be is none, or more than one."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Ready to leave. `key` is the job's dedupe key, `content` the whole message."""

    key: str
    at: Instant
    to: str
    content: bytes


def sealed(
    key: str, at: Instant, *, sender: str, to: str, sheet: Sheet, calendar: CalendarFile | None = None
) -> Letter:
    """NoAddress."""
    message = EmailMessage(policy=_PLAIN if to.isascii() else _INTERNATIONAL)
    message["From"] = sender
    _address_to(message, to)
    message["Subject"] = sheet.subject
    message["Date"] = formatdate(at / 1000, usegmt=True)
    message["Message-ID"] = message_id(key, sender)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(sheet.text, cte="quoted-printable")
    message.make_alternative(boundary=_FORMS)
    message.add_alternative(sheet.html, subtype="html", cte="quoted-printable")
    if calendar is not None:
        message.make_mixed(boundary=_PARTS)
        message.add_attachment(
            calendar.text,
            subtype="calendar",
            cte="quoted-printable",
            params={"method": calendar.method},
            filename="booking.ics",
        )
    return Letter(key, at, to, message.as_bytes())


def _address_to(message: EmailMessage, to: str) -> None:
    """NoAddress. What people typed in must not become a second recipient, or a header."""
    try:
        message["To"] = to
    except ValueError:
        raise NoAddress from None
    if "@" not in to or [address.addr_spec for address in message["To"].addresses] != [to]:
        raise NoAddress


def message_id(key: str, sender: str) -> str:
    """`mail:confirmed:0192…` of the house `tickets.example` is `<confirmed.0192…@tickets.example>`."""
    return f"<{name_of(key)}@{host_of(sender)}>"


def name_of(key: str) -> str:
    """The job's key as a name that stands in a header and in a folder."""
    return key.partition(":")[2].replace(":", ".")


def sender_at(public_url: str | None) -> str:
    """Who writes where nobody said so: the house, at the host that people know."""
    host = urlsplit(public_url or "").hostname or "localhost"
    return f"Marquee <no-reply@{host}>"


def host_of(sender: str) -> str:
    return address_of(sender).rpartition("@")[2]


def address_of(sender: str) -> str:
    """The bare address of `Marquee <tickets@house.example>`."""
    return parseaddr(sender)[1]
