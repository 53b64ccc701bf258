"""Asks the service in this container whether it is ready; exit status 1 and the reason if it is not."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 2.5


def main() -> None:
    port = int(os.environ.get("TRUSTSERVE_PORT") or 8000)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"no answer on port {port}: {error}")
    if response.status != 200:
        sys.exit(f"not ready: {response.status} {body}")


if __name__ == "__main__":
    main()
