"""Building models without telling everybody."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


@contextmanager
def quiet_logger() -> Iterator[None]:
    """Keep what MMEngine says of every parameter it initialises out of the terminal, and out of the log of a run."""
    logger = MMLogger.get_current_instance()
    handlers = list(logger.handlers)
    logger.handlers.clear()
    try:
        yield
    finally:
        logger.handlers[:] = handlers
