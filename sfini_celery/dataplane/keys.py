"""Credentials for the data plane: fetched and refreshed off the loop, one helper thread at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from botocore import exceptions as boto_errors

from sfini_celery.errors import NoCredentials

__all__ = ["Keys"]


class Keys:
    """The access key, secret key and session token that hold now.

    botocore's ``get_frozen_credentials()`` may call a metadata service or STS, which would stop every poll and
    heartbeat if it ran on the loop; so it never does.

    Parameters:
        credentials: anything with ``get_frozen_credentials()``; ``refresh_needed(seconds)`` is used where it exists
        reload: finds credentials anew, after AWS refused these
        clock: seconds, monotonic
    """

    # While the old keys hold this long yet, a refresh goes on beside the calls and nobody waits for it.
    MARGIN = 60
    # Between two tries to refresh keys that still hold, and between two reloads of refused ones.
    PAUSE = 10.0

    def __init__(
        self, credentials: Any, reload: Callable[[], Any] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials, self._reload, self._clock = credentials, reload, clock
        self._frozen: Any = None
        self._refreshing: asyncio.Future[Any] | None = None
        self._refused = False
        self._last_try = clock() - self.PAUSE

    async def get(self) -> Any:
        """Frozen credentials.

        Raises:
            NoCredentials: there are none, or they could not be refreshed
        """
        if self._frozen is None:
            return await self._refresh()
        needed = getattr(self._credentials, "refresh_needed", None)
        if needed is not None and needed():
            if needed(self.MARGIN):
                return await self._refresh()
            if self._rested():
                # Its failure is botocore's own warning; the keys in hand still do.
                asyncio.ensure_future(self._refresh()).add_done_callback(
                    lambda done: None if done.cancelled() else done.exception()
                )
        return self._frozen

    def refused(self, frozen: Any) -> None:
        """AWS does not know these keys, or not any more: find others before the next call."""
        # Keys that were written into the program have no other source; looking for one could change the identity.
        explicit = getattr(self._credentials, "method", None) == "explicit"
        if frozen is self._frozen and self._reload is not None and not explicit and self._rested():
            self._frozen, self._refused = None, True

    def _rested(self) -> bool:
        return self._clock() - self._last_try >= self.PAUSE

    async def _refresh(self) -> Any:
        if self._refreshing is None or self._refreshing.done():
            self._last_try = self._clock()
            self._refreshing = asyncio.get_running_loop().run_in_executor(None, self._load)
        try:
            self._frozen = await asyncio.shield(self._refreshing)
        except (boto_errors.BotoCoreError, boto_errors.ClientError, OSError, RuntimeError) as exc:
            raise NoCredentials(f"{type(exc).__name__}: {exc}") from exc
        return self._frozen

    def _load(self) -> Any:
        if self._refused and self._reload is not None:
            self._credentials = self._reload() or self._credentials
            self._refused = False
        return self._credentials.get_frozen_credentials()
