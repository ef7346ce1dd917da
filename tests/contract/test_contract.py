"""A short run against the API's own description of itself; `make contract` is the long one."""

from pathlib import Path

from tests.contract.run import contract

CASES_MIN = 250
SECONDS_MAX = 240


async def test_made_up_requests_get_only_answers_that_are_described(database_url: str, tmp_path: Path) -> None:
    options = ("--phases", "fuzzing", "--max-examples", "3", "--seed", "1", "--continue-on-failure")
    outcome = await contract(database_url, tmp_path, *options, seconds_max=SECONDS_MAX)
    assert outcome.passed, outcome.report
    assert outcome.cases >= CASES_MIN
