"""The ways by which text messages leave: through Twilio, or into a folder where a developer can open them.

Twilio has no key by which it would know a message again. Where its answer is lost, a text can arrive twice.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, encode_basic_auth, hdrs

from actors.seatmap.terms import Instant
from server.notify.envelopes import name_of
from server.notify.post import Never, NotNow, put_file

TWILIO_SECONDS_MAX: Final = 15
TWILIO_URL: Final = "https://api.twilio.com"


@dataclass(frozen=True, slots=True)
class Text:
    """Ready to leave. `key` is the job's dedupe key."""

    key: str
    at: Instant
    to: str
    text: str


class Texts(Protocol):
    async def send(self, text: Text) -> None:
        """NotNow or Never."""
        ...

    async def close(self) -> None: ...


class TextFolder:
    """Text messages as files: the number, an empty line, the text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, text: Text) -> None:
        place = self._folder / f"{text.at}.{name_of(text.key)}.txt"
        await asyncio.to_thread(put_file, place, f"{text.to}\n\n{text.text}\n".encode())

    async def close(self) -> None:
        """Nothing is open."""


class Twilio:
    """Twilio's Messages resource."""

    def __init__(self, account_sid: str, auth_token: str, sender: str, base_url: str = TWILIO_URL) -> None:
        self._address = f"{base_url}/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._headers = {hdrs.AUTHORIZATION: encode_basic_auth(account_sid, auth_token)}
        self._sender = sender
        self._session: ClientSession | None = None

    async def send(self, text: Text) -> None:
        if self._session is None:
            self._session = ClientSession(headers=self._headers, timeout=ClientTimeout(total=TWILIO_SECONDS_MAX))
        form = {"To": text.to, "From": self._sender, "Body": text.text}
        try:
            async with self._session.post(self._address, data=form, allow_redirects=False) as response:
                status, body = response.status, await response.read()
        except (ClientError, TimeoutError, OSError) as error:
            raise NotNow(f"Twilio cannot be reached: {type(error).__name__}") from None
        if status == 400:  # about this number or text; 401, 403 and 404 are about our settings
            raise Never(f"Twilio refused it: {_code(body)}")
        if not 200 <= status < 300:
            raise NotNow(f"Twilio answered {status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _code(body: bytes) -> int | None:
    """Twilio's own number for what is wrong. Its sentence would name the recipient."""
    try:
        code = orjson.loads(body)["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, int) else None
