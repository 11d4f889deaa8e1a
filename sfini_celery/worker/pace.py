"""How fast to call and how long to wait after a failure: pure, the time is a parameter."""

from __future__ import annotations

import random

__all__ = ["Backoff", "Bucket", "Sayings"]


class Backoff:
    """Exponential back-off with full jitter: a random share of a limit that doubles with every failure.

    Parameters:
        base: seconds, the first limit
        cap: seconds, the last limit
        floor: share of the limit that is always waited, 0 (the default) to 1
        rng: where the randomness comes from
    """

    def __init__(self, base: float, cap: float, rng: random.Random, *, floor: float = 0.0) -> None:
        self._base, self._cap, self._rng, self._floor = base, cap, rng, floor
        self.failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        # 2.0 ** 1024 overflows, and the cap is reached long before.
        limit = min(self._cap, self._base * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return self._rng.uniform(self._floor * limit, limit)

    def reset(self) -> None:
        """Forget the failures: it worked."""
        self.failures = 0


class Bucket:
    """A token bucket that gives way when AWS says there were too many calls, and comes back slowly.

    Everyone in the account shares one bucket at AWS's side: each worker that is throttled halves its rate, then regains
    it over a minute, so that neighbours find a common pace.

    Parameters:
        rate: calls per second; a second's worth may come at once
        now: seconds, on whatever clock the other calls use
    """

    RECOVERY = 60.0
    SLOWEST = 1 / 64

    def __init__(self, rate: float, now: float) -> None:
        self._full, self._size = rate, max(1.0, rate)
        self._tokens, self._filled = self._size, now
        # The rate right after the last cut, and when that was.
        self._cut_to, self._cut_at = rate, now - self.RECOVERY

    def rate(self, now: float) -> float:
        """Calls per second that are allowed now."""
        regained = max(0.0, now - self._cut_at) / self.RECOVERY
        return min(self._full, self._cut_to + (self._full - self._cut_to) * regained)

    def take(self, now: float) -> bool:
        """Whether a call may be made now; if so, it counts as made."""
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait(self, now: float) -> float:
        """Seconds until :meth:`take` may succeed."""
        self._fill(now)
        return max(0.0, (1 - self._tokens) / self.rate(now))

    def give_back(self) -> None:
        """A call was worth making: it does not count. Those that are turned down do, whoever makes them."""
        self._tokens = min(self._size, self._tokens + 1)

    def slow_down(self, now: float) -> None:
        """AWS throttled a call: half the rate, and nothing saved up. Calls of one burst count as one."""
        if now - self._cut_at >= 1:
            self._cut_to, self._cut_at = max(self._full * self.SLOWEST, self.rate(now) / 2), now
        self._tokens, self._filled = min(self._tokens, 0.0), now

    def _fill(self, now: float) -> None:
        if now > self._filled:
            self._tokens = min(self._size, self._tokens + (now - self._filled) * self.rate(now))
            self._filled = now


class Sayings:
    """Keeps a log readable: a thing is said once, and again only when it has lasted.

    Parameters:
        period: seconds after which a thing that still holds is said again
    """

    def __init__(self, period: float = 300.0) -> None:
        self._period = period
        self._said: dict[object, float] = {}

    def due(self, thing: object, now: float) -> bool:
        """Whether to say it now; if so, it counts as said."""
        last = self._said.get(thing)
        if last is not None and now - last < self._period:
            return False
        self._said[thing] = now
        return True

    def over(self, thing: object) -> bool:
        """It holds no more; whether it had been said."""
        return self._said.pop(thing, None) is not None
