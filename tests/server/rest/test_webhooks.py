"""Webhooks through REST: made by a house for its partners, changed, and their secrets replaced."""

from typing import Any

import pytest

from persistence.database import Pool
from server.keys import COURIER, POOL
from server.partners.reach import Reach
from tests.server.house import House
from tests.server.partners.test_reach import Book
from tests.server.rest.cinema import Counter, expect, fresh_key, open_counter

FAR = "https://93.184.216.34/hooks"


@pytest.fixture
async def counter(house: House) -> Counter:
    house.app[COURIER].reach = Reach(Book({"partner.example": [["93.184.216.34"]], "inside.example": [["10.0.0.1"]]}))
    return await open_counter(house)


def wish(counter: Counter, **more: Any) -> dict[str, Any]:
    theatre_id = counter.cinema.theatre_id
    return {"url": "https://partner.example/hooks", "events": ["booking.confirmed"], "theatre_id": theatre_id, **more}


async def make(counter: Counter, **more: Any) -> dict[str, Any]:
    return await expect(await counter.manager().post("/admin/webhooks", wish(counter, **more)), 201)


async def test_a_webhook_is_made_and_its_secret_shown_once(counter: Counter) -> None:
    manager = counter.manager()
    answer = await manager.post("/admin/webhooks", wish(counter, description="Box office of the mall"))
    made = await expect(answer, 201)
    assert answer.headers["Location"].endswith(made["id"])
    assert made.pop("secret").startswith("whsec_")
    shown = await manager.get(f"/admin/webhooks/{made['id']}")
    assert await expect(shown, 200) == made
    assert shown.headers["ETag"] == '"1"'
    assert (made["active"], made["stopped"], made["failing_since"], made["old_secret_until"]) == (
        True,
        None,
        None,
        None,
    )
    listed = await expect(await manager.get("/admin/webhooks"), 200)
    assert listed["items"] == [made]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://partner.example/"},
        {"url": "https://inside.example/"},
        {"url": "https://nobody.example/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://partner.example:22/"},
        {"url": "https://me:secret@partner.example/"},
        {"events": []},
        {"events": ["booking.made"]},
        {"events": ["booking.confirmed", "booking.confirmed"]},
        {"events": ["ping"]},
        {"description": "x" * 201},
        {"secret": "whsec_mine"},
        {"theatre_id": "01970000-0000-7000-8000-000000000001"},
    ],
)
async def test_what_cannot_be_a_webhook_is_refused(counter: Counter, wrong: dict[str, Any]) -> None:
    admin = counter.person("admin")
    problem = await expect(await admin.post("/admin/webhooks", wish(counter, **wrong)), 422)
    assert [error["path"].partition(".")[0] for error in problem["errors"]] == list(wrong)
    made = await make(counter)
    if "theatre_id" not in wrong:
        problem = await expect(await admin.patch(f"/admin/webhooks/{made['id']}", wrong), 422)
        assert [error["path"].partition(".")[0] for error in problem["errors"]] == list(wrong)


async def test_a_change_is_checked_against_what_was_read(counter: Counter) -> None:
    manager, made = counter.manager(), await make(counter)
    path, events = f"/admin/webhooks/{made['id']}", ["showtime.cancelled", "payment.returned"]
    changed = await expect(await manager.patch(path, {"events": events, "url": FAR, "active": False}), 200)
    assert (changed["events"], changed["url"], changed["active"], changed["version"]) == (events, FAR, False, 2)
    headers = {"If-Match": '"1"'}
    late = await counter.house.ask("PATCH", path, token=manager.token, json={"description": "x"}, headers=headers)
    assert (await expect(late, 412))["code"] == "precondition_failed"
    same = await expect(await manager.patch(path, {"events": events}), 200)
    assert same["version"] == 2
    late = await counter.house.ask("DELETE", path, token=manager.token, headers=headers)
    assert late.status == 412
    assert (await manager.delete(path)).status == 204
    assert (await manager.get(path)).status == 404


async def test_managers_see_to_their_theatres_and_administrators_to_all(counter: Counter) -> None:
    manager, admin, own = counter.manager(), counter.person("admin"), await make(counter)
    of_all = await expect(await admin.post("/admin/webhooks", wish(counter, theatre_id=None)), 201)
    refused = await manager.post("/admin/webhooks", wish(counter, theatre_id=None))
    assert (await expect(refused, 403))["code"] == "forbidden"
    assert [item["id"] for item in (await expect(await manager.get("/admin/webhooks"), 200))["items"]] == [own["id"]]
    everything = (await expect(await admin.get("/admin/webhooks"), 200))["items"]
    assert [item["id"] for item in everything] == [own["id"], of_all["id"]]
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret"), ("GET", "/deliveries"),
    ):  # fmt: skip
        rest = {"json": {}} if method == "PATCH" else {}
        answer = await counter.house.ask(method, f"/admin/webhooks/{of_all['id']}{path}", token=manager.token, **rest)
        assert answer.status == 403, (method, path)


async def test_a_list_is_read_in_pieces(counter: Counter) -> None:
    made = [(await make(counter))["id"] for _ in range(5)]
    manager, found, cursor = counter.manager(), [], ""
    while cursor is not None:
        page = await expect(await manager.get(f"/admin/webhooks?limit=2&cursor={cursor}"), 200)
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == made


async def test_a_theatre_has_so_many_webhooks_and_no_more(counter: Counter) -> None:
    for _ in range(20):
        await make(counter)
    full = await counter.manager().post("/admin/webhooks", wish(counter))
    assert (await expect(full, 409))["code"] == "webhook_limit"


async def test_a_secret_is_replaced_and_a_repeat_of_the_request_replaces_nothing_more(counter: Counter) -> None:
    manager, made = counter.manager(), await make(counter)
    path, key = f"/admin/webhooks/{made['id']}/rotate-secret", fresh_key()
    first = await expect(await manager.post(path, key=key), 200)
    again = await expect(await manager.post(path, key=key), 200)
    assert first == again
    assert first["secret"] != made["secret"]
    assert first["old_secret_until"] is not None
    at_once = await expect(await manager.post(path, {"old_valid_hours": 0}), 200)
    assert at_once["old_secret_until"] is None
    assert (await expect(await manager.get(f"/admin/webhooks/{made['id']}"), 200))["version"] == 3
    assert await _secrets(counter.house.app[POOL]) == 1


async def _secrets(pool: Pool) -> int:
    row = await pool.fetchrow("SELECT secret, old_secret FROM webhook")
    assert row is not None
    return len([secret for secret in row if secret is not None])
