"""Letters leave: as files that one can open, or over SMTP to a real server that does not always behave."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from actors.runtime.clock import ManualClock
from server.notify.calendars import CalendarFile
from server.notify.envelopes import Letter, NoAddress, sealed, sender_at
from server.notify.post import CONNECTIONS_MAX, IDLE_MS_MAX, LetterFolder, Never, NotNow, SmtpPost
from server.notify.press import Sheet
from tests.server.notify.mail_server import GONE, MailServer, mail_server

NOW = 1_790_000_000_000
SENDER = sender_at("https://tickets.example")
SHEET = Sheet("Grüße", "Für Ana\n", "<p>Für Ana</p>\n")


def letter(key: str = "mail:confirmed:0192", to: str = "ana@example.com") -> Letter:
    return sealed(key, NOW, sender=SENDER, to=to, sheet=SHEET, calendar=CalendarFile("PUBLISH", "BEGIN:VCALENDAR\r\n"))


def read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def post(server: MailServer) -> AsyncIterator[SmtpPost]:
    post = SmtpPost(server.url, SENDER, ManualClock(NOW))
    yield post
    post.close()


def test_a_letter_is_text_and_html_and_brings_its_calendar_file() -> None:
    message = read(letter().content)
    assert (message["To"], message["From"], message["Subject"]) == ("ana@example.com", SENDER, "Grüße")
    assert message["Message-ID"] == "<confirmed.0192@tickets.example>"
    assert message["Date"].startswith("Mon, 21 Sep 2026")
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == SHEET.text.splitlines()
    assert html.get_content().splitlines() == SHEET.html.splitlines()
    (calendar,) = message.iter_attachments()
    assert calendar.get_content_type() == "text/calendar"
    assert calendar.get_param("method") == "PUBLISH"
    assert calendar.get_filename() == "booking.ics"


def test_words_that_look_like_the_end_of_a_part_stay_words() -> None:
    outer = read(letter().content)
    inner = next(outer.iter_parts())
    ends = "".join(f"--{part.get_boundary()}\n--{part.get_boundary()}--\n" for part in (outer, inner))
    sheet, calendar = Sheet("Dune", ends, f"<p>\n{ends}</p>\n"), CalendarFile("PUBLISH", ends)
    message = read(sealed("mail:x:1", NOW, sender=SENDER, to="a@b.example", sheet=sheet, calendar=calendar).content)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == sheet.text.splitlines()
    assert html.get_content().splitlines() == sheet.html.splitlines()
    assert [part.get_content().splitlines() for part in message.iter_attachments()] == [ends.splitlines()]


def test_the_same_letter_set_again_is_the_same_to_the_byte() -> None:
    assert letter().content == letter().content
    first, other = read(letter().content), read(letter("mail:confirmed:0193").content)
    assert first["Message-ID"] != other["Message-ID"]


@pytest.mark.parametrize(
    "to", ["", "ana", "a@b.c, d@e.f", "friends:a@b.c;", "a@b.c\r\nBcc: d@e.f", '"a b"@c.d e', "a:b@c.d", "<a@b.c>"]
)
def test_what_is_not_one_address_gets_no_letter(to: str) -> None:
    with pytest.raises(NoAddress):
        letter(to=to)


async def test_without_a_server_a_letter_is_a_file_for_nobody_elses_eyes(tmp_path: Path) -> None:
    await LetterFolder(tmp_path / "mail").send(letter())
    (file,) = (tmp_path / "mail").iterdir()
    assert file.name == f"{NOW}.confirmed.0192.eml"
    assert read(file.read_bytes())["Subject"] == "Grüße"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_letter_goes_out_over_smtp(server: MailServer, post: SmtpPost) -> None:
    await post.send(letter())
    (arrived,) = server.arrived
    assert server.recipients == ["ana@example.com"]
    assert arrived["Message-ID"] == "<confirmed.0192@tickets.example>"


async def test_an_address_beyond_ascii_is_no_obstacle(server: MailServer, post: SmtpPost) -> None:
    await post.send(letter(to="grüße@bücher.example"))
    assert server.recipients == ["grüße@bücher.example"]
    assert server.arrived[0]["To"] == "grüße@bücher.example"


async def test_letters_share_a_few_connections(server: MailServer, post: SmtpPost) -> None:
    await asyncio.gather(*(post.send(letter(f"mail:confirmed:{number}")) for number in range(40)))
    assert len({message["Message-ID"] for message in server.arrived}) == 40
    assert server.open_max <= CONNECTIONS_MAX
    assert server.connections <= CONNECTIONS_MAX
    await post.send(letter())
    assert server.connections <= CONNECTIONS_MAX


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(server: MailServer, post: SmtpPost) -> None:
    await post.send(letter("mail:one:1"))
    for client in post._free:
        assert client.transport is not None
        client.transport.abort()
    await post.send(letter("mail:two:2"))
    assert [message["Message-ID"] for message in server.arrived] == [
        "<one.1@tickets.example>",
        "<two.2@tickets.example>",
    ]
    assert server.connections == 2


async def test_an_idle_connection_is_closed(server: MailServer) -> None:
    clock = ManualClock(NOW)
    post = SmtpPost(server.url, SENDER, clock)
    await post.send(letter())
    assert len(post._free) == 1
    clock.advance(IDLE_MS_MAX)
    assert post._free == []


@pytest.mark.parametrize(
    ("to_recipient", "to_letter", "expected", "why"),
    [
        ("", "451 later", NotNow, "did not take it: 451"),
        ("450 busy", "", NotNow, "did not take it: 450"),
        ("", GONE, NotNow, "did not take it: SMTPServerDisconnected"),
        ("550 nobody here: ana@example.com", "", Never, "refused it: 550"),
        ("", "554 no", Never, "refused it: 554"),
    ],
)
async def test_what_the_server_says_decides_whether_it_is_asked_again(
    server: MailServer, post: SmtpPost, to_recipient: str, to_letter: str, expected: type[Exception], why: str
) -> None:
    server.says_to, server.says = [to_recipient][: bool(to_recipient)], [to_letter][: bool(to_letter)]
    with pytest.raises(expected) as refusal:
        await post.send(letter())
    assert why in str(refusal.value)
    assert "ana" not in str(refusal.value)
    await post.send(letter())
    assert {message["Message-ID"] for message in server.arrived} == {"<confirmed.0192@tickets.example>"}


async def test_a_server_that_is_not_there_is_asked_again_later() -> None:
    async with mail_server() as server:
        url = server.url
    with pytest.raises(NotNow, match="cannot be reached"):
        await SmtpPost(url, SENDER, ManualClock(NOW)).send(letter())
