"""The whole program, killed in the middle of its work; `make proof-power-cut` is the long version."""

from tests.proofs.power_cut import closing, one_round, open_house, open_session

CUTS = (("server", 60), ("database", 120), ("both", 90))
"""What is killed in each round, and after how many more acknowledged holds."""


async def test_what_was_acknowledged_survives_every_power_cut() -> None:
    with open_house(seed=1) as house:
        async with open_session() as session:
            await house.start(session)
            showtimes = (await house.showtimes(session))[:20]
            for what, holds in CUTS:
                await one_round(house, session, showtimes, what, holds)
            await closing(house, session)
