"""A few seconds of steady load on the whole program; `make proof-soak` is the long version."""

from tests.proofs.power_cut import closing, open_house, open_session
from tests.proofs.soak import soak


async def test_under_steady_load_nobody_sees_an_error_and_watchers_see_what_is_so() -> None:
    with open_house(seed=2) as house:
        async with open_session() as session:
            await house.start(session)
            await soak(house, session, minutes=0.05, look_seconds=1)
            await closing(house, session)
