"""The fold and its examples: the files that the browser's fold is run against are what the server says today."""

import orjson
import pytest

from server.live.fold import RESYNC, View, fold
from tests.server.live.fold_cases import FOLDER, cases, view_from

CASES = cases()


def test_there_is_a_file_for_each_example_and_no_other() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_file_is_what_the_server_makes_today(name: str) -> None:
    assert orjson.loads((FOLDER / f"{name}.json").read_bytes()) == orjson.loads(orjson.dumps(CASES[name]))


@pytest.mark.parametrize("name", CASES)
def test_folding_the_frames_gives_what_the_example_says(name: str) -> None:
    case = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    view = view_from(case["before"])
    for frame in case["frames"]:
        after = fold(view, frame)
        if after == RESYNC:
            assert case["after"] == RESYNC
            return
        assert after is None or isinstance(after, View)
        view = after
    assert (None if view is None else view.as_json()) == case["after"]


def test_the_examples_cover_every_outcome() -> None:
    outcomes = [case["after"] if case["after"] in (RESYNC, None) else "view" for case in CASES.values()]
    assert outcomes.count(RESYNC) >= 4
    assert outcomes.count("view") >= 15
    assert None in outcomes
