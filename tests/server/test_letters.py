"""Letters leave: as files that one can open, or over SMTP to a real sink."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from aiosmtplib import SMTPException

from actors.ids import mint
from server.errands import WAITING_MAX, Errands
from server.errors import Problem
from server.letters import Letter, LetterFolder, SmtpPost, Text, TextFolder, sender_at
from tests.server.house import open_house

NOW = 1_790_000_000_000
SENDER = sender_at("https://tickets.example")


def letter() -> Letter:
    return Letter(mint(NOW), "ana@example.com", "Grüße", "Für Ana: https://tickets.example/sign-in#reset=abc\n")


class Sink:
    """Takes letters, after saying the given words first."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.taken: list[Any] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.answers:
            return self.answers.pop(0)
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture
async def sink() -> AsyncIterator[tuple[Sink, str]]:
    handler = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    yield handler, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_without_a_server_a_letter_is_a_file_for_nobody_elses_eyes(tmp_path: Path) -> None:
    sent = letter()
    await LetterFolder(tmp_path / "mail", SENDER).send(sent)
    (file,) = (tmp_path / "mail").iterdir()
    read = message_from_bytes(file.read_bytes(), policy=default)
    assert (read["To"], read["From"], read["Subject"]) == (sent.to, "Marquee <no-reply@tickets.example>", "Grüße")
    assert read.get_content().splitlines() == sent.text.splitlines()
    assert read["Message-ID"] == f"<{sent.id}@marquee>"
    assert read["Date"].startswith("Mon, 21 Sep 2026")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_text_is_a_file_too(tmp_path: Path) -> None:
    await TextFolder(tmp_path).send(Text("1", "+4930123456", "hello"))
    assert (tmp_path / "1.txt").read_text() == "+4930123456\n\nhello\n"


async def test_a_letter_goes_out_over_smtp(sink: tuple[Sink, str]) -> None:
    handler, url = sink
    sent = letter()
    await SmtpPost(url, SENDER).send(sent)
    (envelope,) = handler.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@tickets.example", ["ana@example.com"])
    assert message_from_bytes(envelope.content, policy=default).get_content().strip() == sent.text.strip()


async def test_with_a_server_the_house_sends_its_letters_there(sink: tuple[Sink, str], database_url: str) -> None:
    handler, url = sink
    async with open_house(database_url, smtp_url=url) as house:
        await house.member(email="ana@example.com")
        await house.errands()
        assert await house.letters("ana@example.com") == []
    assert [envelope.rcpt_tos for envelope in handler.taken] == [["ana@example.com"]]


async def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(sink: tuple[Sink, str]) -> None:
    handler, url = sink
    post = SmtpPost(url, SENDER, pauses_s=(0, 0))
    handler.answers = ["451 later", "451 later"]
    await post.send(letter())
    assert len(handler.taken) == 1
    handler.answers = ["550 never", "250 would be taken"]
    with pytest.raises(SMTPException):
        await post.send(letter())
    assert handler.answers == ["250 would be taken"]


@pytest.fixture
async def errands() -> AsyncIterator[Errands]:
    errands = Errands()
    errands.start()
    yield errands
    await errands.close()


async def test_an_errand_that_fails_harms_no_other(errands: Errands) -> None:
    done: list[int] = []

    async def fail() -> None:
        raise ValueError("no")

    async def succeed() -> None:
        done.append(1)

    for errand in (fail, succeed) * 10:
        errands.leave(errand)
    await errands.done()
    assert len(done) == 10


async def test_what_waits_is_bounded() -> None:
    errands = Errands()

    async def nothing() -> None: ...

    for _ in range(WAITING_MAX):
        errands.leave(nothing)
    with pytest.raises(Problem, match="busy"):
        errands.leave(nothing)
    errands.start()
    await errands.close()
