"""What is logged, and from which severity on."""

import logging
import warnings


def configure_logging(level: str) -> None:
    """Sets up this process's log, on stderr."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Its start and stop are not news: the banner says where the service is.
    logging.getLogger("uvicorn.error").setLevel("DEBUG" if level == "debug" else "WARNING")
    # Which migrations the journal has is not news either.
    logging.getLogger("alembic").setLevel("WARNING")
    # What is odd about a caller's image is the caller's to know.
    warnings.filterwarnings("ignore", module="PIL")
