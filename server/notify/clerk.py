"""The clerk: writes the letters and texts that jobs ask for, and hands them to the post.

A job names what it is about and nobody's address. Whom to write to and what is true is looked up at the last moment:
somebody who was erased in between gets nothing, and what is not true any more is not sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from actors.ports import Clock
from persistence import accounts, applications, bookings, notifications, proofs
from persistence.accounts import Account
from persistence.bookings import StoredBooking
from persistence.database import Pool
from persistence.jobs import StoredJob
from server.auth.secrets import code_of, digest_of, token_of
from server.jobs.worker import Hopeless, Later
from server.notify import news
from server.notify.calendars import calendar_of
from server.notify.drafts import Draft, of_account
from server.notify.envelopes import Letter, NoAddress, host_of, sealed
from server.notify.post import Never, NotNow, Post
from server.notify.press import Press
from server.notify.speech import speech_for
from server.notify.texts import Text, Texts

ACCOUNT: Final[Mapping[str, Any]] = {"account": True}
_log: Final = structlog.get_logger("marquee.letters")


@dataclass(frozen=True, slots=True)
class House:
    """Who writes, from where, and what its tokens are made with: the secret of today first."""

    sender: str
    site: str
    secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Order:
    """A draft with whom it goes to."""

    draft: Draft
    email: str | None
    phone: str | None
    name: str
    locale: str


class Clerk:
    def __init__(self, pool: Pool, clock: Clock, press: Press, post: Post, texts: Texts, house: House) -> None:
        self._pool = pool
        self._clock = clock
        self._press = press
        self._post = post
        self._texts = texts
        self._house = house

    async def mail(self, job: StoredJob) -> None:
        """Later, Hopeless."""
        order = await self._order(job)
        if order is None:
            _log.info("letter_not_needed", job=job.dedupe_key)
            return
        if order.email is None:
            _log.info("letter_without_address", job=job.dedupe_key)
            return
        visit = order.draft.visit
        sequence = 0 if visit is None else await notifications.version_of(self._pool, visit.showtime.id)
        try:
            letter = await self._press.run(partial(self._write, job, order, order.email, sequence))
            await self._post.send(letter)
        except NoAddress:
            raise Hopeless("what stands there is no address") from None
        except Never as refused:
            raise Hopeless(str(refused)) from None
        except NotNow as not_taken:
            raise Later(reason=str(not_taken)) from None

    async def text(self, job: StoredJob) -> None:
        """Later, Hopeless."""
        text = await (self._code(job) if job.payload["text"] == "code" else self._booking_text(job))
        if text is None:
            _log.info("text_not_needed", job=job.dedupe_key)
            return
        try:
            await self._texts.send(text)
        except Never as refused:
            raise Hopeless(str(refused)) from None
        except NotNow as not_taken:
            raise Later(reason=str(not_taken)) from None

    def _write(self, job: StoredJob, order: Order, to: str, sequence: int) -> Letter:
        """Set and seal it. In the thread of the press."""
        draft, house, speech = order.draft, self._house, speech_for(order.locale)
        link = f"{house.site}{draft.link}" if draft.link else ""
        told = {"name": order.name, **draft.telling(speech)}
        facts = {"link": link, "site": house.site, "account": False, **draft.facts}
        sheet = self._press.set(draft.kind, speech, told, facts)
        calendar = None
        if draft.visit is not None:
            calendar = calendar_of(
                draft.visit,
                speech,
                host=host_of(house.sender),
                link=link,
                sequence=sequence,
                at=job.created_at,
                ends=draft.visit_ends,
            )
        return sealed(job.dedupe_key, job.created_at, sender=house.sender, to=to, sheet=sheet, calendar=calendar)

    async def _order(self, job: StoredJob) -> Order | None:
        kind = str(job.payload["letter"])
        if kind in news.KINDS:
            return await self._about_booking(job, kind)
        match kind:
            case "password_reset" | "verification":
                return await self._proof(job, kind)
            case "password_changed":
                account = await accounts.by_id(self._pool, str(job.payload["account_id"]))
                return None if account is None else _to(account, Draft(kind, of_account(), ACCOUNT))
            case "application_decided":
                return await self._decision(str(job.payload["application_id"]))
        raise AssertionError(kind)

    async def _about_booking(self, job: StoredJob, kind: str) -> Order | None:
        booking = await self._booking(job)
        if booking is None:
            return None
        person = await notifications.addressee(self._pool, booking.id)
        draft = news.draft_of(kind, booking, job.payload, self._clock.now())
        if draft is None or person is None or person.erased:
            return None
        return Order(draft, person.email, person.phone, person.name, person.locale)

    async def _booking(self, job: StoredJob) -> StoredBooking | None:
        return await bookings.booking(self._pool, str(job.payload["booking_id"]))

    async def _proof(self, job: StoredJob, kind: str) -> Order | None:
        """The token is made again from the job's key. Where it is known no more, it was used or is too old."""
        purpose: proofs.Purpose = "reset" if kind == "password_reset" else "verify"
        for secret in self._house.secrets:
            token = token_of(secret, job.dedupe_key)
            waiting = await proofs.waiting(self._pool, digest_of(token), purpose, self._clock.now())
            if waiting is not None:
                account = await accounts.by_id(self._pool, waiting.account_id)
                link = f"/sign-in#{purpose}={token}"
                return None if account is None else _to(account, Draft(kind, of_account(), ACCOUNT, link))
        return None

    async def _decision(self, application_id: str) -> Order | None:
        application = await applications.by_id(self._pool, application_id)
        account = None if application is None else await accounts.by_id(self._pool, application.account_id)
        if application is None or account is None:
            return None
        told = of_account(theatre=application.name, reason=application.reason)
        return _to(account, Draft(f"application_{application.status}", told, ACCOUNT))

    async def _booking_text(self, job: StoredJob) -> Text | None:
        kind = str(job.payload["text"])
        order = await self._about_booking(job, kind)
        if order is None or order.phone is None:
            return None
        return await self._press.run(partial(self._write_text, job, order, order.phone))

    def _write_text(self, job: StoredJob, order: Order, to: str) -> Text:
        speech = speech_for(order.locale)
        told = order.draft.telling(speech)
        sentences = [speech.say(f"text.{order.draft.kind}", **told)]
        if order.draft.facts.get("refunded"):
            sentences.append(speech.say("text.refund", **told))
        return Text(job.dedupe_key, job.created_at, to, " ".join(sentences))

    async def _code(self, job: StoredJob) -> Text | None:
        """The code is made again from the job's key; the number is where the code is waited for."""
        phone = await proofs.waiting_phone(self._pool, job.dedupe_key, self._clock.now())
        if phone is None:
            return None
        code = code_of(self._house.secrets[0], job.dedupe_key)
        account = await accounts.by_phone(self._pool, phone)
        speech = speech_for(str(job.payload["locale"]) if account is None else account.locale)
        return Text(job.dedupe_key, job.created_at, phone, speech.say("text.code", code=code))


def _to(account: Account, draft: Draft) -> Order | None:
    """Erased people have no address any more."""
    if account.erased or account.email is None:
        return None
    return Order(draft, account.email, None, account.display_name, account.locale)
