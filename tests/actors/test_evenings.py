"""Random evenings with everything that can go wrong; `make proof-evenings` plays twenty thousand of them."""

import random

from tests.proofs.evenings import play


def test_whatever_goes_wrong_on_an_evening_every_answer_is_in_the_log() -> None:
    first = random.randrange(1_000_000)
    assert play(range(first, first + 40)) > 0
