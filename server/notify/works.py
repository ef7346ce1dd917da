"""The works of this folder, for the worker of jobs."""

from collections.abc import Mapping

from aiohttp import web

from server.jobs.worker import Work
from server.keys import CLOCK, CONFIG, DISPATCH, JOBS, LETTERS, PEOPLE, POOL, PRESS, TEXTS
from server.notify.announcing import Announcer
from server.notify.clerk import Clerk, House
from server.notify.envelopes import sender_at
from server.partners import outbox


def notify_works(app: web.Application) -> Mapping[str, Work]:
    config = app[CONFIG]
    house = House(
        config.mail_from or sender_at(config.public_url), config.site, (config.jwt_secret, *config.jwt_old_secrets)
    )
    clerk = Clerk(app[POOL], app[CLOCK], app[PRESS], app[LETTERS], app[TEXTS], house)

    def wake() -> None:
        app[JOBS].wake()
        app[DISPATCH].wake()

    announcer = Announcer(
        app[POOL],
        app[CLOCK],
        outbox.offer,
        lambda new: app[PEOPLE].tell(new),
        wake,
    )
    return {"announce": announcer.announce, "reminder": announcer.remind, "mail": clerk.mail, "sms": clerk.text}
