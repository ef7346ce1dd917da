"""The courier over real sockets: what partners answer, and what they do instead of answering."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from ssl import Purpose, create_default_context

import pytest
from aiohttp import web
from trustme import CA

from server.partners.courier import ANSWER_BYTES_MAX, Courier, Outcome
from server.partners.reach import Reach
from tests.server.partners.receiver import Receiver, open_receiver
from tests.server.partners.test_reach import Book

LOOPBACK = (ip_network("127.0.0.0/8"),)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


def courier(book: Book | None = None, seconds: float = 10.0) -> Courier:
    return Courier(Reach(book or Book(), LOOPBACK), seconds)


async def carry(url: str, book: Book | None = None, seconds: float = 10.0) -> Outcome:
    return await courier(book, seconds).carry(url, {"webhook-id": "1"}, b'{"a":1}')


@asynccontextmanager
async def raw_partner(talk: Talk) -> AsyncIterator[str]:
    """A partner below HTTP: does with the connection what it likes."""
    talks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def for_ever(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_message_arrives_as_it_is(receiver: Receiver) -> None:
    assert await carry(f"{receiver.url}?key=1") == Outcome(200, b"thanks")
    (heard,) = receiver.heard
    assert heard.body == b'{"a":1}'
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["user-agent"].startswith("Marquee-Webhooks/")
    assert heard.headers["webhook-id"] == "1"
    assert "cookie" not in heard.headers


@pytest.mark.parametrize(
    ("status", "error"),
    [(204, ""), (301, "redirected"), (307, "redirected"), (400, "refused"), (410, "refused"), (500, "refused")],
)
async def test_the_status_decides_whether_it_arrived(receiver: Receiver, status: int, error: str) -> None:
    receiver.says(status, "" if status == 204 else "because")
    outcome = await carry(receiver.url)
    assert (outcome.status, outcome.error, outcome.arrived) == (status, error, status == 204)


async def test_a_redirection_is_not_followed(receiver: Receiver) -> None:
    receiver.says(307, Location="http://127.0.0.1:1/inside")
    assert (await carry(receiver.url)).error == "redirected"
    assert len(receiver.heard) == 1


async def test_of_an_endless_answer_the_beginning_is_kept() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()

    async with raw_partner(talk) as url:
        outcome = await carry(url)
    assert outcome == Outcome(500, b"x" * ANSWER_BYTES_MAX, "refused")


async def test_a_packed_answer_is_not_unpacked(receiver: Receiver) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    async def answering(_request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    receiver.answering = answering
    outcome = await carry(receiver.url)
    assert (outcome.status, outcome.answer) == (200, bomb[:ANSWER_BYTES_MAX])


async def test_an_answer_that_dribbles_is_judged_by_its_status() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwell")
        await for_ever(reader, writer)

    async with raw_partner(talk) as url:
        assert await carry(url, seconds=0.5) == Outcome(200, b"well")


async def test_silence_is_a_timeout() -> None:
    async with raw_partner(for_ever) as url:
        assert await carry(url, seconds=0.2) == Outcome(None, error="timeout")


async def test_a_head_that_dribbles_is_a_timeout() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_partner(talk) as url:
        assert (await carry(url, seconds=0.2)).error in ("timeout", "answer_malformed")


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"])
async def test_what_is_no_answer_is_none(answer: bytes) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw_partner(talk) as url:
        outcome = await carry(url)
    assert outcome.status is None
    assert outcome.error in ("answer_malformed", "connection_failed")


async def test_nobody_there_is_a_failed_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        outcome = await carry(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert outcome == Outcome(None, error="connection_failed")


@pytest.mark.parametrize(
    ("certified", "trusted", "error"),
    [("partner.example", True, ""), ("partner.example", False, "tls_failed"), ("other.example", True, "tls_failed")],
)
async def test_only_who_can_prove_the_name_hears_anything(certified: str, trusted: bool, error: str) -> None:
    authority, far, own = CA(), create_default_context(Purpose.CLIENT_AUTH), create_default_context()
    authority.issue_cert(certified).configure_cert(far)
    if trusted:
        authority.configure_trust(own)
    async with open_receiver(ssl=far) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        reach = Reach(Book({"partner.example": [["127.0.0.1"]]}), LOOPBACK)
        outcome = await Courier(reach, tls=own).carry(f"https://partner.example:{port}/hooks", {}, b"{}")
    assert (outcome.error, len(receiver.heard)) == (error, 0 if error else 1)


async def test_how_long_a_partner_asks_us_to_wait_is_read_and_bounded(receiver: Receiver) -> None:
    for text, seconds in (("30", 30), ("999999", 86_400), ("-1", 0), ("soon", 0), ("²", 0), ("9" * 5_000, 0)):
        receiver.says(503, Retry_After=text)
        assert (await carry(receiver.url)).retry_after_s == seconds


async def test_the_connection_goes_where_the_name_led_when_it_was_checked(receiver: Receiver) -> None:
    """DNS rebinding: the second look-up would lead inside, so there is none."""
    port = receiver.url.split(":")[2].split("/")[0]
    book = Book({"partner.example": [["127.0.0.1"], ["10.0.0.1"]]})
    assert (await carry(f"http://partner.example:{port}/hooks", book)).arrived
    assert receiver.heard[0].headers["host"] == f"partner.example:{port}"
    assert book.names["partner.example"] == [["10.0.0.1"]]
    assert await carry(f"http://partner.example:{port}/hooks", book) == Outcome(None, error="address_refused")
    assert len(receiver.heard) == 1


async def test_a_name_that_leads_inside_by_now_is_not_connected_to(receiver: Receiver) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    closed = Courier(Reach(Book({"partner.example": [["127.0.0.1"]]})))
    for url in (f"https://partner.example:{port}/", "https://partner.example/", f"http://127.0.0.1:{port}/"):
        assert await closed.carry(url, {}, b"{}") == Outcome(None, error="address_refused")
    assert receiver.heard == []


async def test_the_next_address_of_a_name_is_tried_when_the_first_is_deaf(receiver: Receiver) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    book = Book({"partner.example": [["127.9.9.9", "127.0.0.1"]]})
    assert (await carry(f"http://partner.example:{port}/hooks", book)).arrived
