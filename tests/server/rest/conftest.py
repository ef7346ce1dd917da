"""The house as the tests of the REST endpoints find it."""

from collections.abc import AsyncIterator

import pytest

from tests.server.house import House, open_house


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with open_house(database_url) as house:
        yield house
