"""A lease in Redis: a key with our token that expires unless we keep extending it."""

from __future__ import annotations

import asyncio
import secrets
import time

from redis.exceptions import RedisError

from flashcur.services.lease.port import Lease, LeaseUnavailable
from flashcur.services.storage.redis_client import redis_client

TTL_S = 6.0
"""A dead holder is replaced after this and one poll; a holder that cannot reach Redis stops MARGIN_S earlier."""
RENEW_S = 1.5
MARGIN_S = 1.0

# KEYS: lease, epoch. ARGV: token, TTL in ms. The epoch is Redis's clock, and never falls back.
_ACQUIRE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
local time = redis.call('TIME')
local epoch = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if epoch <= last then epoch = last + 1 end
redis.call('SET', KEYS[2], string.format('%.0f', epoch))
return string.format('%.0f', epoch)
"""

# KEYS: lease, epoch. ARGV: token, TTL in ms, our epoch. A Redis that came back empty gets our lease again, unless
# another engine was in office in the meantime.
_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if holder or tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
"""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

_FAILURES = (RedisError, OSError, TimeoutError)


class RedisLease(Lease):
    """A key that expires after `TTL_S` unless it is renewed; leases of different names do not meet."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self._redis = redis_client(url)
        self._keys = [f"flashcur:lease:{name}", f"flashcur:lease:{name}:epoch"]
        self._token = secrets.token_hex(16)
        self._renewed_s = 0.0
        """`time.monotonic` before the last command that set the key's expiry."""
        self._acquire_script = self._redis.register_script(_ACQUIRE)
        self._renew_script = self._redis.register_script(_RENEW)
        self._release_script = self._redis.register_script(_RELEASE)

    async def _try_acquire(self) -> int | None:
        asked_s = time.monotonic()
        try:
            epoch = await self._acquire_script(keys=self._keys, args=[self._token, int(TTL_S * 1000)])
        except _FAILURES as error:
            raise LeaseUnavailable(f"Redis: {error}") from error
        if epoch is None:
            return None
        self._renewed_s = asked_s
        return int(epoch)

    async def _keep(self) -> None:
        epoch = self.epoch
        while True:
            await asyncio.sleep(RENEW_S)
            asked_s = time.monotonic()
            try:
                async with asyncio.timeout(self._renewed_s + TTL_S - MARGIN_S - asked_s):
                    kept = await self._renew_script(keys=self._keys, args=[self._token, int(TTL_S * 1000), epoch or 0])
            except _FAILURES as error:
                if time.monotonic() >= self._renewed_s + TTL_S - MARGIN_S - RENEW_S:
                    raise LeaseUnavailable(f"Redis did not extend the lease in time: {error}") from error
                continue
            if not kept:
                raise LeaseUnavailable("another engine holds the lease")
            self._renewed_s = asked_s

    async def _release(self) -> None:
        try:
            await self._release_script(keys=self._keys[:1], args=[self._token])
        except _FAILURES as error:
            raise LeaseUnavailable(f"Redis: {error}") from error
        finally:
            await self._redis.aclose()
