"""Lists come in pages that together hold everything once, in order."""

from typing import Any

import pytest

from tests.fakes.world import Person, World


async def _pages(world: World, person: Person, path: str, name: str, limit: int) -> list[Any]:
    """All entries of a list, page by page."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await world.http.get(
            path, params={"limit": str(limit)} | cursor, headers=person.bearer
        )
        page = answer.json()
        assert len(page[name]) <= limit
        found.extend(page[name])
        if page.get("next_cursor") is None:
            return found
        assert len(page[name]) == limit
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_of_rooms_hold_each_room_once(world: World, limit: int) -> None:
    """By id, whatever the size of a page, also when the last page is full."""
    ada = await world.person("ada")
    made = [await world.room(ada) for _ in range(5)]
    listed = await _pages(world, ada, "/v1/rooms", "rooms", limit)
    assert [room["id"] for room in listed] == sorted(made)
    public = await _pages(world, ada, "/v1/rooms?scope=public", "rooms", limit)
    assert {room["id"] for room in public} == set(made)


async def test_pages_of_members_hold_each_member_once(world: World) -> None:
    """By user id, with names and roles."""
    ada = await world.person("ada")
    room = await world.room(ada)
    names = [f"guest-{each}" for each in range(7)]
    guests = await world.store.accounts.ensure(names)
    await world.store.rooms.add(ada.id, room, [guest.id for guest in guests])
    listed = await _pages(world, ada, f"/v1/rooms/{room}/members", "members", 3)
    assert [member["user"] for member in listed] == sorted(
        [ada.id, *(guest.id for guest in guests)]
    )
    roles = {member["username"]: member["role"] for member in listed}
    assert roles == {"ada": "owner"} | dict.fromkeys(names, "member")


async def test_history_is_read_in_both_directions(world: World) -> None:
    """Pages by `before` and by `after` agree with the whole log; `around` includes its seq."""
    ada = await world.person("ada")
    room = await world.room(ada)
    for each in range(10):
        await world.post(ada, room, f"c{each}", f"message {each}")
    path = f"/v1/rooms/{room}/messages"

    async def page(**wanted: int) -> dict[str, Any]:
        answer = await world.http.get(path, params=wanted, headers=ada.bearer)
        document: dict[str, Any] = answer.json()
        return document

    whole = await page(limit=100)
    seqs = [event["seq"] for event in whole["events"]]
    assert seqs == list(range(whole["first"], whole["last"] + 1))
    back: list[int] = []
    while not back or back[0] > whole["first"]:
        earlier = await page(before=back[0] if back else whole["last"] + 1, limit=3)
        back = [event["seq"] for event in earlier["events"]] + back
    assert back == seqs
    assert (await page(after=whole["last"]))["events"] == []
    around = await page(around=6, limit=3)
    assert 6 in [event["seq"] for event in around["events"]]


async def test_message_bytes_come_back_as_they_went(world: World) -> None:
    """Spaces, escapes, key order and number forms of the body are kept."""
    ada = await world.person("ada")
    room = await world.room(ada)
    body = '{ "text" : "\\u00e4 \u00e4" , "x":1.0e2, "a":[ ] }'
    stored = await world.http.post(
        f"/v1/rooms/{room}/messages",
        content=f'{{"body":{body}}}'.encode(),
        headers=ada.bearer | {"Idempotency-Key": "c1", "Content-Type": "application/json"},
    )
    assert stored.status_code == 201
    page = await world.http.get(f"/v1/rooms/{room}/messages", headers=ada.bearer)
    assert f'"body":{body}' in page.text
    assert page.text.encode().count(b'"t":"msg"') == 1
