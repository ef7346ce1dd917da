"""What holds for every answer: ids, problems, headers, limits; and a server that is told to stop."""

import asyncio
import contextlib
import gzip
import re
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import Field

from server.app import build_app
from server.config import Config
from server.errors import Problem
from server.keys import LIFE, POOL, TELEMETRY
from server.operations import PUBLIC, Operation
from server.requests import Body, client_address, parse_json, read_body
from server.responses import answer
from server.rest.system import READY_SECONDS_MAX
from server.telemetry import redact
from tests.server.house import SECRET, House, open_house


class Wish(Body):
    seats: list[str] = Field(max_length=10)
    count: int = 0


async def _wish(request: web.Request) -> web.Response:
    return answer({"seats": (await read_body(request, Wish)).seats})


async def _fault(_: web.Request) -> web.Response:
    raise RuntimeError("SELECT secret FROM somewhere")


@pytest.fixture
async def house(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A house with two rooms more: one that reads a wish, and one with a hole in the floor."""
    from server.rest import system

    more = (
        *system.OPERATIONS,
        Operation("POST", "/api/v1/wish", _wish, "Wish.", PUBLIC, {200: Wish}, asks=Wish),
        Operation("GET", "/api/v1/fault", _fault, "Fail.", PUBLIC, {}),
    )
    monkeypatch.setattr(system, "OPERATIONS", more)
    async with open_house(database_url) as house:
        yield house


async def problem(response: Any) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    body = await response.json()
    assert body["status"] == response.status
    assert body["request_id"] == response.headers["X-Request-Id"]
    return response.status, body["code"]


async def test_a_request_id_is_echoed_or_made(house: House) -> None:
    theirs = await house.get("/health", headers={"X-Request-Id": "abc-123"})
    assert theirs.headers["X-Request-Id"] == "abc-123"
    ours = [(await house.get("/health", headers={"X-Request-Id": "a b\tc"})).headers["X-Request-Id"] for _ in range(2)]
    assert len(set(ours)) == 2
    assert "a b" not in ours[0]


async def test_unknown_addresses_and_methods_are_problems(house: House) -> None:
    assert await problem(await house.get("/nowhere")) == (404, "not_found")
    refused = await house.ask("DELETE", "/movies")
    assert await problem(refused) == (405, "method_not_allowed")
    assert refused.headers["Allow"] == "GET, HEAD"


async def test_a_browser_at_an_address_that_leads_nowhere_is_shown_a_page(house: House) -> None:
    people = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    lost = await house.client.get("/movies/1/nowhere", headers=people)
    assert (lost.status, lost.content_type) == (404, "text/html")
    assert "script-src 'self'" in lost.headers["Content-Security-Policy"]
    assert await lost.read() == await (await house.client.get("/")).read()
    for path in ("/api/v1/nowhere", "/static/nowhere.js"):
        assert (await house.client.get(path, headers=people)).content_type == "application/problem+json"
    assert (await house.client.post("/nowhere", headers=people)).content_type == "application/problem+json"


async def test_a_fault_of_ours_shows_nothing_of_its_inside(house: House) -> None:
    response = await house.get("/fault")
    text = await response.text()
    assert await problem(response) == (500, "internal_error")
    assert "SELECT" not in text
    assert "Traceback" not in text


async def test_every_answer_tells_browsers_to_be_careful(house: House) -> None:
    for path in ("/health", "/nowhere", "/movies"):
        headers = (await house.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Server"] == "marquee"
    assert (await house.get("/health")).headers["Cache-Control"] == "no-store"


async def test_the_site_is_one_page_under_all_its_addresses_and_runs_only_its_own_scripts(house: House) -> None:
    first = await house.client.get("/")
    assert first.content_type == "text/html"
    policy = first.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for path in ("/movies/1", "/showtimes/1", "/bookings", "/bookings/1", "/account", "/sign-in"):
        assert await (await house.client.get(path)).read() == await first.read()
    again = await house.client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304


async def test_the_docs_page_needs_nothing_but_this_server(house: House) -> None:
    page = await house.client.get("/docs")
    assert page.status == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    for text in (await page.text(), await (await house.client.get("/static/docs/docs.js")).text()):
        assert "//" not in re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE)
        for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
            assert (await house.client.get(path)).status == 200, path


@pytest.mark.parametrize("path", ["../server/app.py", "%2e%2e/server/app.py", ".hidden", "a/.git/x", "%00", "none.js"])
async def test_only_files_of_the_site_are_served(house: House, path: str) -> None:
    from yarl import URL

    response = await house.client.get(URL(f"/static/{path}", encoded=True))
    assert response.status in (400, 404)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[1,]", b"NaN", b'{"seats":["\xff"]}', b'{"seats":["\\ud800"]}', b'{"seats":["A\\u00001"]}',
        b'{"seats":[],"seats":["A1"]}', b'{"seats":' + b"[" * 65 + b"]" * 65 + b"}", b'{"count":Infinity}',
        b'{"a":{"b":1,"b":2}}', b"[" * 100_000,
    ],
)  # fmt: skip
async def test_json_that_could_mean_two_things_is_malformed(house: House, raw: bytes) -> None:
    response = await house.post("/wish", data=raw, headers={"Content-Type": "application/json"})
    assert await problem(response) == (400, "malformed_json")


def test_honest_json_is_read() -> None:
    for raw in (b'{"a":":","b":{"c":"::"}}', b'{"a":"\\\\u0000"}', b'["' + b"[" * 100 + b'"]', b'{"a":1}'):
        parse_json(raw)


async def test_a_body_must_be_json_and_fit(house: House) -> None:
    plain = {"Content-Type": "application/json"}
    form = await house.post("/wish", data=b"seats=A1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert await problem(form) == (415, "unsupported_media_type")
    utf8 = {"Content-Type": "application/json; charset=UTF-8"}
    charset = await house.post("/wish", data=b'{"seats":[]}', headers=utf8)
    assert charset.status == 200
    large = await house.post("/wish", data=b'{"seats":["' + b"A" * 300_000 + b'"]}', headers=plain)
    assert await problem(large) == (413, "body_too_large")
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert await problem(await house.post("/wish", data=bomb, headers=packed)) == (413, "body_too_large")
    assert (await problem(await house.post("/wish", data=b"no gzip", headers=packed)))[0] == 400


async def test_every_wrong_field_is_named(house: House) -> None:
    response = await house.post("/wish", {"seats": ["A1", 2], "count": "3", "price": 1})
    errors = {error["path"]: error["message"] for error in (await response.json())["errors"]}
    assert errors.keys() == {"seats.1", "count", "price"}
    assert all(message.endswith(".") for message in errors.values())


@pytest.mark.parametrize("line", [b"FOO /api/v1/health HTTP/1.1", b"GET /api/v1/health HTTP/9.9.9", b"what is this?"])
async def test_what_is_no_request_is_answered_as_a_problem_that_does_not_quote_it(house: House, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.client.port)
    writer.write(line + b"\r\nHost: x\r\n\r\n")
    head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
    writer.close()
    told = orjson.loads(body)
    assert (told["status"], told["code"]) == (400, "malformed_request")
    assert b" 400 " in head.splitlines()[0]
    assert b"application/problem+json" in head
    assert f"X-Request-Id: {told['request_id']}".lower().encode() in head.lower()
    assert line not in body


async def test_a_body_that_dribbles_ends_the_connection(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.requests.BODY_SECONDS_MAX", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.client.port)
    head = b"POST /api/v1/wish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
    writer.write(head + b"\r\n{")
    try:
        answered = await asyncio.wait_for(reader.read(), 30)
    except ConnectionResetError:
        answered = b""
    assert answered == b""
    writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_arrive_ends_the_connection(database_url: str, begun: bytes) -> None:
    runner = web.AppRunner(build_app(Config(jwt_secret=SECRET), database_url), keepalive_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    finally:
        await runner.cleanup()


async def test_a_draining_server_says_so_and_refuses_new_work(house: House) -> None:
    assert (await house.client.get("/ready")).status == 200
    house.app[LIFE].draining = True
    ready = await house.client.get("/ready")
    assert await problem(ready) == (503, "not_ready")
    refused = await house.get("/movies")
    assert await problem(refused) == (503, "draining")
    assert refused.headers["Retry-After"] == "1"
    assert (await house.client.get("/health")).status == 200
    house.app[LIFE].draining = False


async def test_it_is_not_ready_without_its_database(house: House) -> None:
    await house.app[POOL].close()
    assert await problem(await house.client.get("/ready")) == (503, "not_ready")
    assert await problem(await house.get("/movies")) == (503, "busy")


async def test_it_says_soon_that_its_database_hangs_and_comes_back_by_itself(house: House) -> None:
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(house.app[POOL].get_max_size()):
            await taken.enter_async_context(house.app[POOL].acquire())
        async with asyncio.timeout(2 * READY_SECONDS_MAX):
            answers = await asyncio.gather(*(house.client.get("/ready") for _ in range(3)))
        assert [await problem(answer) for answer in answers] == [(503, "not_ready")] * 3
        assert (await house.client.get("/health")).status == 200
    assert (await house.client.get("/ready")).status == 200


async def test_metrics_count_answers_by_route_and_not_by_address(house: House) -> None:
    for number in range(3):
        await house.get(f"/movies/{number}")
    text = await (await house.client.get("/metrics")).text()
    assert 'request_seconds_count{method="GET",route="/api/v1/movies/{movie_id}",status="404"} 3.0' in text
    assert 'marquee_problems_total{code="movie_not_found"} 3.0' in text
    assert house.app[TELEMETRY].registry is not None


async def test_strangers_find_no_metrics(database_url: str) -> None:
    async with open_house(database_url, trusted_proxies="127.0.0.0/8") as house:
        stranger = await house.client.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"})
        assert await problem(stranger) == (404, "not_found")
        assert await problem(await house.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"})) == (404, "not_found")
        for path in ("/metrics", "/api/v1/metrics"):
            assert (await house.client.get(path, headers={"X-Forwarded-For": "10.1.2.3"})).status == 200


def test_logs_hold_no_secrets() -> None:
    event = {"event": "x", "access_token": "abc", "Email": "a@b.c", "path": "/x", "new_password": "p"}
    assert redact(None, "info", event) == {
        "event": "x", "access_token": "[redacted]", "Email": "[redacted]", "path": "/x", "new_password": "[redacted]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("remote", "forwarded", "caller"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("198.51.100.9", "203.0.113.7", "198.51.100.9"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
    ],
)
def test_only_trusted_proxies_may_say_who_calls(remote: str, forwarded: str, caller: str) -> None:
    from ipaddress import ip_network

    from aiohttp.test_utils import make_mocked_request

    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = make_mocked_request("GET", "/", headers=headers)
    request = request.clone(remote=remote)
    assert client_address(request, [ip_network("10.0.0.0/8")]) == caller
    assert client_address(request, []) == remote


def test_a_problem_carries_its_facts() -> None:
    made = Problem(409, "seats_unavailable", "Gone.", conflicts=[{"seat": "A1", "reason": "sold"}]).response("r1")
    assert isinstance(made.body, bytes)
    assert b'"conflicts":[{"seat":"A1","reason":"sold"}]' in made.body


async def test_a_page_that_did_not_change_keeps_its_own_policy(house: House) -> None:
    page = await house.client.get("/")
    again = await house.client.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert again.status == 304
    assert "Content-Security-Policy" not in again.headers
