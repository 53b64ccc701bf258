"""Routes for the operator alone: who calls them shows the admin token.

The service compares SHA-256 digests: the token itself need not be where the service runs, and is not kept by what
checks it. A token is long and random, so that its digest tells nothing; `openssl rand -hex 32` makes one.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.errors import Unauthorized
from service.settings import Settings

RequireAdmin = Callable[..., None]

_bearer = HTTPBearer(auto_error=False, description="the service's admin token")


def require_admin(settings: Settings) -> RequireAdmin | None:
    """A dependency that refuses requests without an admin token; None where none is set: such routes do not exist.

        @app.post("/admin/reload", dependencies=[Depends(require)])

    Where the token and the digest of another one are set, either opens: so one is replaced without a gap.
    """
    digests = [bytes.fromhex(settings.admin_token_sha256)] if settings.admin_token_sha256 else []
    if settings.admin_token is not None:
        digests.append(_digest(settings.admin_token.get_secret_value().encode()))
    if not digests:
        return None

    def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        # Header values are latin-1 for the framework: back to the bytes as they came.
        if sent is None or not _is_one_of(digests, sent.credentials.encode("latin-1")):
            raise Unauthorized("this is the operator's; send the admin token as `Authorization: Bearer ...`")

    return check


def _is_one_of(digests: Sequence[bytes], token: bytes) -> bool:
    """How long it takes tells nothing of the tokens: each is compared, in whole."""
    found = _digest(token)
    return True in [hmac.compare_digest(found, wanted) for wanted in digests]


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
