"""A conversation over REST alone: what people can do, in the order they would do it."""

from tests.fakes.world import World


async def test_two_people_talk_in_a_public_room(world: World) -> None:
    """Making, finding, joining, posting, reading, leaving."""
    ada, ben = await world.person("ada"), await world.person("ben")
    room = await world.room(ada)
    listed = await world.http.get("/v1/rooms", params={"scope": "public"}, headers=ben.bearer)
    assert [entry["id"] for entry in listed.json()["rooms"]] == [room]
    assert (await world.post(ben, room, "c0")).json()["code"] == "not_member"
    joined = await world.http.post(f"/v1/rooms/{room}/join", headers=ben.bearer)
    assert joined.status_code == 200
    assert joined.json()["role"] == "member"
    first = await world.post(ada, room, "c1", "Hello")
    assert first.status_code == 201
    again = await world.post(ada, room, "c1", "Hello")
    assert again.status_code == 200
    assert again.json() == first.json() | {"dup": True}
    other = await world.post(ada, room, "c1", "Changed")
    assert (other.status_code, other.json()["code"]) == (409, "cid_conflict")
    page = (await world.http.get(f"/v1/rooms/{room}/messages", headers=ben.bearer)).json()
    kinds = [event["t"] for event in page["events"]]
    assert kinds == ["room", "member", "member", "msg"]
    assert page["events"][-1]["body"] == {"text": "Hello"}
    assert page["last"] == first.json()["seq"] == world.gateway.runs[-1].events[-1].seq
    left = await world.http.post(f"/v1/rooms/{room}/leave", headers=ben.bearer)
    assert left.status_code == 204
    assert (await world.post(ben, room, "c2")).status_code == 403
