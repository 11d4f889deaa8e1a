"""Celery without a broker: a private folder of this machine stands in (kombu's ``filesystem://``).

Step Functions itself is the queue of activity tasks, so that ``inspect``, ``delay()`` and retries within one host are
all that is left for a broker to do.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import celery
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

from sfini_celery.errors import ConfigurationError

__all__ = ["FolderTransport", "private_folder", "use_folder_without_broker"]


class _Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        # kombu writes where readers look: one that comes in between finds half a message, and its worker dies of that.
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        part = Path(self.data_folder_out, f"{name}.part")
        part.write_text(dumps(payload))
        part.rename(part.with_name(name))


class FolderTransport(filesystem.Transport):
    """kombu's ``filesystem://``, where a message is there as a whole or not at all."""

    Channel = _Channel


def use_folder_without_broker(sender: celery.Celery, **_: Any) -> None:
    """Handler of Celery's ``on_after_configure``: where no broker is configured, the folder becomes it."""
    conf = sender.conf
    if conf.broker_read_url or conf.broker_write_url:  # these fall back to broker_url and to the environment
        return
    folder = private_folder(sender.main or "app")
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:FolderTransport"
    conf.broker_url = "filesystem://"
    conf.broker_transport_options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        **(conf.broker_transport_options or {}),
    }


def private_folder(name: str) -> Path:
    """The folder that stands in for a broker: this user's alone, the same for every process of the app.

    Raises:
        ConfigurationError: somebody else owns it, or may write there
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    root = Path(base) / f"sfini-celery-{os.getuid()}"
    folder = root / re.sub(r"[^\w.-]", "_", name)
    try:
        for path in (root, folder, folder / "messages", folder / "control"):
            path.mkdir(mode=0o700, exist_ok=True)
            status = path.lstat()
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077 or not stat.S_ISDIR(status.st_mode):
                raise ConfigurationError(
                    f"{path} must be a folder that only this user may use, since task messages go through it; "
                    "remove it, or configure a broker"
                )
    except OSError as exc:
        raise ConfigurationError(f"no broker is configured and {folder} cannot be made instead: {exc}") from exc
    return folder
