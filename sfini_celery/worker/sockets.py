"""The loop's sockets and the process: enough of them allowed, and none of them kept by a forked child."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import selectors
import threading
import weakref
from typing import Any

__all__ = ["allow", "new_event_loop"]

log = logging.getLogger(__name__)

_selectors: weakref.WeakSet[selectors.BaseSelector] = weakref.WeakSet()
_once = threading.Lock()
_hooked = False


def allow(number: int) -> None:
    """Raise the process's soft limit of open files where it is below ``number``, as far as the hard limit goes."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= number:
        return
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft < number:
        log.warning("sfini_too_few_files limit=%d wanted=%d; raise `ulimit -n` or lower sfn_polls", soft, number)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose sockets a forked child lets go of at once.

    A prefork pool replaces its children while polls are open. A child that kept copies of their sockets would hold
    the polls of a killed worker open, and the service would hand tasks to them.
    """
    global _hooked
    selector = selectors.DefaultSelector()
    with _once:
        _selectors.add(selector)
        if not _hooked and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_let_go)
            _hooked = True
    return asyncio.SelectorEventLoop(selector)


def _let_go() -> None:
    # Replaced, not closed: the objects that own these numbers would otherwise close whatever the child opens next.
    # The selector is replaced first: an epoll is shared with the parent, who must not lose what it listens to.
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
    except OSError:
        return
    for selector in list(_selectors):
        own: Any = getattr(selector, "fileno", None)
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            numbers = [key.fd for key in selector.get_map().values()]
            for number in ([own()] if own is not None else []) + numbers:
                os.dup2(nothing, number, inheritable=False)
    os.close(nothing)
