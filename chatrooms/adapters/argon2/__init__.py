"""The passwords port: argon2id (RFC 9106) with the OWASP parameters, in a bounded pool."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chatrooms.domain.errors import Code, Refusal

THREADS: Final = 2
WAITING_MAX: Final = 64
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
# What a full queue takes to empty: 64 hashes of about 30 ms each on two threads.
RETRY_AFTER_MS: Final = 1000

_Answer = TypeVar("_Answer")


class Argon2Passwords:
    """A hash takes 19 MiB: THREADS at once, WAITING_MAX waiting, the next one is `overloaded`.

    The C library releases the GIL, so that sockets and REST go on meanwhile.
    """

    def __init__(
        self, hasher: PasswordHasher | None = None, waiting_max: int = WAITING_MAX
    ) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._inside_max = waiting_max + THREADS
        self._inside = 0
        # Stands for accounts that do not exist, so that they take as long as others.
        self._nobody = self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """As the port says."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, bool]:
        """As the port says."""
        encoded = self._nobody if password_hash is None else password_hash
        right = await self._run(lambda: self._judge(encoded, password))
        if password_hash is None or not right:
            return False, False
        return True, self._hasher.check_needs_rehash(encoded)

    def close(self) -> None:
        """Waits for running hashes and ends the threads; those waiting are cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _judge(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _Answer]) -> _Answer:
        if self._inside >= self._inside_max:
            raise Refusal(Code.OVERLOADED, "Too many logins.", retry_after_ms=RETRY_AFTER_MS)
        loop = asyncio.get_running_loop()
        self._inside += 1
        job = self._pool.submit(work)
        # Counted down by the job itself: a caller that goes away leaves it running.
        job.add_done_callback(lambda _: self._leave(loop, job))
        return await asyncio.wrap_future(job)

    def _leave(self, loop: asyncio.AbstractEventLoop, job: Future[_Answer]) -> None:
        if loop.is_closed():
            return
        loop.call_soon_threadsafe(self._count_down, job)

    def _count_down(self, _job: Future[_Answer]) -> None:
        self._inside -= 1
