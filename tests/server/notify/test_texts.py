"""Text messages leave: as files, or through Twilio's HTTP API as a stand-in speaks it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from server.notify.post import Never, NotNow
from server.notify.texts import Text, TextFolder, Twilio

TEXT = Text("sms:code:0192", 1_790_000_000_000, "+4930123456", "123456 is your code.")


class StandIn:
    """Answers as `status` and `body` say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 201, '{"sid": "SM1", "status": "queued"}'
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.path, request.headers["Authorization"], form))
        return web.Response(status=self.status, text=self.body, content_type="application/json")


@pytest.fixture
async def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
async def twilio(stand_in: StandIn) -> AsyncIterator[Twilio]:
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{sid}/Messages.json", stand_in.answer)
    async with TestServer(app) as server:
        twilio = Twilio("AC1", "secret", "+15550001111", str(server.make_url("")).rstrip("/"))
        yield twilio
        await twilio.close()


async def test_a_text_is_a_file_without_twilio(tmp_path: Path) -> None:
    await TextFolder(tmp_path).send(TEXT)
    (file,) = tmp_path.iterdir()
    assert file.read_text() == "+4930123456\n\n123456 is your code.\n"
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_text_goes_to_twilio_as_its_api_wants_it(stand_in: StandIn, twilio: Twilio) -> None:
    await twilio.send(TEXT)
    ((path, authorization, form),) = stand_in.asked
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert authorization.split()[0] == "Basic"
    assert form == {"To": "+4930123456", "From": "+15550001111", "Body": "123456 is your code."}


@pytest.mark.parametrize(
    ("status", "body", "expected", "why"),
    [
        (429, "{}", NotNow, "429"),
        (500, "oops", NotNow, "500"),
        (401, '{"code": 20003}', NotNow, "401"),
        (302, "", NotNow, "302"),
        (400, '{"code": 21211, "message": "+4930123456 is not a valid phone number"}', Never, "21211"),
        (400, "no json", Never, "None"),
        (400, '["a list"]', Never, "None"),
    ],
)
async def test_what_twilio_says_decides_whether_it_is_asked_again(
    stand_in: StandIn, twilio: Twilio, status: int, body: str, expected: type[Exception], why: str
) -> None:
    stand_in.status, stand_in.body = status, body
    with pytest.raises(expected) as refusal:
        await twilio.send(TEXT)
    assert why in str(refusal.value)
    assert "+49" not in str(refusal.value)
    assert len(stand_in.asked) == 1


async def test_a_twilio_that_is_not_there_is_asked_again_later() -> None:
    twilio = Twilio("AC1", "secret", "+15550001111", "http://127.0.0.1:9")
    with pytest.raises(NotNow, match="cannot be reached"):
        await twilio.send(TEXT)
    await twilio.close()
