"""S6, S9 and S10: no mass assignment, argon2id, and logins that tell nothing."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from chatrooms.adapters.argon2 import THREADS, WAITING_MAX, Argon2Passwords
from chatrooms.domain.errors import Code, Refusal
from tests.fakes.world import PASSWORD, World, open_world

CHEAP = PasswordHasher(1, 8, 1)


async def _login(world: World, username: str, password: str) -> tuple[int, dict[str, Any]]:
    body = {"username": username, "password": password}
    answer = await world.http.post("/v1/auth/login", json=body)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("field", ["role", "is_admin", "_id", "id", "disabled", "password_hash"])
async def test_unknown_fields_are_refused(world: World, field: str) -> None:
    """S6: a client cannot set what it is not asked for."""
    body = {"username": "eve", "password": PASSWORD, field: "owner"}
    answer = await world.http.post("/v1/auth/register", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await world.store.accounts.by_username("eve") is None


async def test_hashes_are_argon2id_of_owasp_strength() -> None:
    """S9: m=19456 KiB, t=2, p=1, with a salt of its own."""
    passwords = Argon2Passwords()
    try:
        first, second = [await passwords.hash(PASSWORD) for _ in range(2)]
        assert re.match(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$", first)
        assert first != second
        assert await passwords.verify(PASSWORD, first) == (True, False)
        assert await passwords.verify(PASSWORD + " ", first) == (False, False)
        assert await passwords.verify(PASSWORD, CHEAP.hash(PASSWORD)) == (True, True)
        assert await passwords.verify(PASSWORD, "not a hash") == (False, False)
    finally:
        passwords.close()


async def test_weak_hash_is_replaced_at_login(tmp_path: Path) -> None:
    """S9: the next login with stronger parameters stores a stronger hash."""
    async with open_world(tmp_path) as world:
        ada = await world.person("ada")
        account = await world.store.accounts.by_id(ada.id)
        assert account is not None
        weak = PasswordHasher(1, 8, 1, salt_len=8, hash_len=8).hash(PASSWORD)
        await world.store.accounts.rehash(ada.id, weak)
        assert (await _login(world, "ada", PASSWORD))[0] == 200
        after = await world.store.accounts.by_id(ada.id)
        assert after is not None
        assert after.password_hash != weak
        assert (await _login(world, "ada", PASSWORD))[0] == 200


@pytest.mark.parametrize(
    "password", ["short-7", "password1", "12345678", "aaaaaaaaaa", "x" * 129, "ada-lovelace"]
)
async def test_weak_passwords_are_refused(world: World, password: str) -> None:
    """S9: short, long, common, monotonous, or the name itself."""
    body = {"username": "ada-lovelace", "password": password}
    answer = await world.http.post("/v1/auth/register", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "password")
    assert password not in answer.text


async def test_long_passwords_are_not_cut(world: World) -> None:
    """S9: 128 characters count, the last one too."""
    password = "correct horse battery staple " * 4 + "0123456789ab"
    assert len(password) == 128
    body = {"username": "ada", "password": password}
    assert (await world.http.post("/v1/auth/register", json=body)).status_code == 201
    assert (await _login(world, "ada", password[:-1] + "c"))[0] == 401
    assert (await _login(world, "ada", password))[0] == 200


async def test_wrong_password_and_unknown_user_look_alike(world: World) -> None:
    """S10: same status, headers and body; a password-less account too."""
    await world.person("ada")
    await world.store.accounts.ensure(["robot"])
    answers = []
    for name in ("ada", "nobody-here", "robot", "No such Name!"):
        answer = await world.http.post(
            "/v1/auth/login", json={"username": name, "password": "wrong-password"}
        )
        body = answer.json()
        body.pop("request_id")
        headers = {key: value for key, value in answer.headers.items() if key != "x-request-id"}
        answers.append((answer.status_code, body, headers))
    assert answers[0][0] == 401
    assert all(answer == answers[0] for answer in answers)


async def test_unknown_user_costs_the_same_hash() -> None:
    """S10: for nobody a hash of the same parameters is verified, not skipped."""
    judged: list[str] = []

    class Watched(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002
            judged.append(str(hash).split("$")[3])
            return super().verify(hash, password)

    passwords = Argon2Passwords(Watched(1, 8, 1))
    try:
        assert await passwords.verify("the password of nobody", None) == (False, False)
        assert await passwords.verify("x", CHEAP.hash("y")) == (False, False)
    finally:
        passwords.close()
    assert judged[0] == judged[1]


async def test_ten_failures_close_an_account_for_fifteen_minutes(world: World) -> None:
    """S10: 429 for the right password too, alike for a name nobody has; others are free."""
    await world.person("ada")
    await world.person("ben")
    for name in ("ada", "nobody-here"):
        statuses = [(await _login(world, name, "wrong-password"))[0] for _ in range(10)]
        assert statuses == [401] * 10
        status, problem = await _login(world, name, PASSWORD)
        assert (status, problem["code"]) == (429, "rate_limited")
        assert 0 < problem["retry_after_ms"] <= 900_001
    assert (await _login(world, "ADA", PASSWORD))[0] == 429
    assert (await _login(world, "ben", PASSWORD))[0] == 200
    world.clock.pass_seconds(901)
    assert (await _login(world, "ada", PASSWORD))[0] == 200


async def test_parallel_failures_are_all_counted(world: World) -> None:
    """S10: fifty guesses at once are ten guesses."""
    await world.person("ada")
    guesses = (_login(world, "ada", f"wrong-password-{each}") for each in range(50))
    statuses = [status for status, _ in await asyncio.gather(*guesses)]
    assert (statuses.count(401), statuses.count(429)) == (10, 40)


async def test_good_logins_are_not_failures(world: World) -> None:
    """S10: logging in often closes nothing."""
    await world.person("ada")
    assert {(await _login(world, "ada", PASSWORD))[0] for _ in range(15)} == {200}


async def test_full_queue_of_hashes_is_overloaded() -> None:
    """The pool and its queue are bounded; what is refused costs nothing and may be retried."""
    passwords = Argon2Passwords(CHEAP)
    room = THREADS + WAITING_MAX
    try:
        results = await asyncio.gather(
            *(passwords.hash(PASSWORD) for _ in range(room + 5)), return_exceptions=True
        )
        refused = [each for each in results if isinstance(each, Refusal)]
        assert [each.code for each in refused] == [Code.OVERLOADED] * 5
        assert refused[0].retry_after_ms
        assert (await passwords.hash(PASSWORD)).startswith("$argon2id$")
    finally:
        passwords.close()


async def test_refused_login_of_a_full_queue_is_no_failure(tmp_path: Path) -> None:
    """503 with Retry-After, and the account stays open."""
    passwords = Argon2Passwords(CHEAP, waiting_max=0)
    async with open_world(tmp_path, passwords=passwords) as world:
        await world.person("ada")
        answers = await asyncio.gather(
            *(
                world.http.post("/v1/auth/login", json={"username": "ada", "password": PASSWORD})
                for _ in range(30)
            )
        )
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
        assert (await _login(world, "ada", PASSWORD))[0] == 200
