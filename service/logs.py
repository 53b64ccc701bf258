"""What is logged, and how: a line of text where a person reads along, a line of JSON where a program collects.

What callers send never comes into it but as a path, its control characters escaped: no bodies, no headers, no query.
Of libraries, only what they warn of: their debug lines would hold what callers sent.
"""

import json
import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["auto", "text", "json"]

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
_OF_EVERY_RECORD = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName", "color_message"}


def configure_logging(level: str, log_format: LogFormat = "auto") -> None:
    """Sets up this process's log, on stderr; `auto` is text on a terminal and JSON elsewhere."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=max(logging.WARNING, logging.getLevelName(level.upper())), handlers=[handler])
    logging.getLogger("trustserve").setLevel(level.upper())
    # Its start and stop are not news: the banner says where the service is.
    logging.getLogger("uvicorn.error").setLevel("DEBUG" if level == "debug" else "WARNING")
    logging.captureWarnings(True)
    # What is odd about a caller's image is the caller's to know.
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


class TextFormatter(logging.Formatter):
    """Time, severity, name, message, then a traceback if there is one; nobody forges a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging calls it
        record.message = record.message.translate(_CONTROL)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object an event: time, level, logger, message, what was given as `extra`, such as request_id; exception.

    >>> record = logging.makeLogRecord({"name": "trustserve", "levelname": "INFO", "created": 0, "request_id": "5"})
    >>> print(JsonFormatter().format(record))
    {"time": "1970-01-01T00:00:00.000+00:00", "level": "info", "logger": "trustserve", "message": "", "request_id": "5"}
    """

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        event |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if record.exc_info:
            event["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(event, default=str)
