"""A lease that lasts as long as its holder: a thread renews it meanwhile, and a process that died renews nothing.

So a lease may be short, and others go on soon after a death, however long the work may take.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connections

logger = logging.getLogger(__name__)


@contextmanager
def renewed(renew: Callable[[], bool], *, every_s: float) -> Iterator[None]:
    """Calls `renew` in a thread until the block is over or it returns False; a database that is away is asked again."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(renew, every_s, over), daemon=True, name="lease")
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(renew: Callable[[], bool], every_s: float, over: threading.Event) -> None:
    while not over.wait(every_s):
        try:
            if not renew():
                return
        except (OperationalError, InterfaceError) as exc:
            logger.warning("a lease was not renewed: %s", exc)
        finally:
            # Neither one of the pool's is kept between two renewals, nor one that is broken.
            connections.close_all()
