"""The whole program in bad weather; `make proof-money-storm` is the long version."""

from tests.proofs.money_storm import look_back, open_storm, rage

VISITS, KILLS, SETTLE_SECONDS_MAX = 60, 2, 120


async def test_money_adds_up_and_everybody_is_told_whatever_the_weather() -> None:
    async with open_storm(seed=1, bookings=VISITS) as (storm, session):
        await rage(storm, session, VISITS, KILLS, lapse=True)
        await storm.settle(session, SETTLE_SECONDS_MAX)
        assert await look_back(storm, session) == []
        assert storm.kills == KILLS
        assert all((storm.provider.faults, storm.provider.refunds, storm.mail.faults)), "it was no storm"
