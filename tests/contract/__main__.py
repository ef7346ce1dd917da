"""`python -m tests.contract`: at least 20,000 made-up requests against the API's own description of itself."""

import asyncio
import sys
import tempfile
from pathlib import Path

from persistence.database import migrate
from persistence.embedded import EmbeddedPostgres
from tests.contract.run import Outcome, contract

CASES_MIN = 20_000
SECONDS_MAX = 3_600
EXAMPLES_PER_OPERATION = 250


async def main() -> int:
    with tempfile.TemporaryDirectory(prefix="marquee-contract-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with EmbeddedPostgres(folder) as postgres:
            await migrate(postgres.dsn)
            options = ("--max-examples", str(EXAMPLES_PER_OPERATION), "--continue-on-failure", *sys.argv[1:])
            outcome = await contract(postgres.dsn, folder, *options, seconds_max=SECONDS_MAX)
    return _tell(outcome)


def _tell(outcome: Outcome) -> int:
    print(outcome.report)
    print(f"{outcome.cases} cases, {CASES_MIN} wanted.")
    return 0 if outcome.passed and outcome.cases >= CASES_MIN else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
