"""The OpenAPI document: valid, complete, and true to the table of problems."""

import ast
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from server.errors import auth_required
from server.keys import OPERATIONS
from server.openapi import codes
from server.problems import PROBLEMS
from tests.server.house import House, open_house

SERVER = Path(__file__).parents[2] / "server"
STATUS_OF = {"too_many": 429, "unavailable": 503, "_not_ready": 503, "unauthorized": 401}


@pytest.fixture
async def house(database_url: str) -> Any:
    async with open_house(database_url) as house:
        yield house


async def test_the_document_is_valid_openapi(house: House) -> None:
    document = await (await house.get("/openapi.json")).json()
    validate(document)
    assert document["openapi"].startswith("3.1")


async def test_a_client_that_has_the_document_is_told_so(house: House) -> None:
    first = await house.get("/openapi.json")
    again = await house.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304


@pytest.mark.parametrize(
    "path", ["movies", "movies/{movie_id}", "theatres", "showtimes", "showtimes/facets", "showtimes/{showtime_id}"]
)
async def test_what_can_be_asked_about_again_says_so(house: House, path: str) -> None:
    document = await (await house.get("/openapi.json")).json()
    assert {"200", "304"} <= set(document["paths"][f"/api/v1/{path}"]["get"]["responses"])


async def test_every_operation_is_in_it_with_its_access_and_problems(house: House) -> None:
    document = await (await house.get("/openapi.json")).json()
    for operation in house.app[OPERATIONS]:
        if not operation.path.startswith("/api/v1/"):
            continue
        told = document["paths"][operation.path][operation.method.lower()]
        assert (told["security"] in ([], [{}, {"token": []}])) is (operation.access is None), operation.path
        listed = {
            code
            for answer in told["responses"].values()
            for content in answer.get("content", {}).values()
            for code in content["schema"].get("properties", {}).get("code", {}).get("enum", ())
        }
        assert listed == set(codes(operation)), operation.path


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("PATCH", "", {"has_sales", "seats_vanish", "category_unpriced", "currency_differs", "past_deadline"}),
        ("PUT", "/seats", {"seats_unavailable", "unknown_seat", "duplicate_seat", "past_deadline"}),
    ],
)
async def test_what_is_refused_to_the_house_is_told_beforehand(
    house: House, method: str, path: str, told: set[str]
) -> None:
    """What the actor says about seats and moves; the shape's own faults are told of every operation."""
    (found,) = (
        operation
        for operation in house.app[OPERATIONS]
        if (operation.method, operation.path) == (method, f"/api/v1/admin/showtimes/{{showtime_id}}{path}")
    )
    assert told <= set(codes(found))


async def test_each_operation_has_a_name_of_its_own(house: House) -> None:
    document = await (await house.get("/openapi.json")).json()
    names = [told["operationId"] for path in document["paths"].values() for told in path.values()]
    assert sorted(names) == sorted(set(names))


def test_every_problem_in_the_code_stands_in_the_table_with_its_status() -> None:
    found = dict(_problems_in(SERVER))
    assert auth_required().code in found
    assert {code: status for code, status in found.items() if PROBLEMS.get(code, (0,))[0] != status} == {}


def _problems_in(folder: Path) -> Any:
    """Code and status of each problem that the code makes from literals."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            said = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            match node.func.id, said:
                case "Problem", [int(status), str(code), *_]:
                    yield code, status
                case maker, [str(code), *_] if maker in STATUS_OF and code.isidentifier():
                    yield code, STATUS_OF[maker]
                case "not_found", [str(thing)]:
                    yield f"{thing}_not_found", 404
