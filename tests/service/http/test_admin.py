"""What opens the operator's routes: the token, by itself or by its digest."""

import hashlib

import pytest

from service.settings import SettingsError, load_settings
from tests.service.http.test_problems import assert_problem

TOKEN, OTHER = "correct horse battery", "staple staple staple"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def status(client, token: str) -> int:
    return client.get("/captures", headers={"Authorization": f"Bearer {token}"}).status_code


def test_digest_in_the_settings_opens_to_who_knows_the_token(serve):
    client = serve(admin_token_sha256=digest(TOKEN))
    assert status(client, TOKEN) == 200
    assert_problem(client.get("/captures"), 401, "unauthorized")
    for wrong in (OTHER, digest(TOKEN), TOKEN[:-1], TOKEN + " x"):
        assert status(client, wrong) == 401


def test_old_and_new_token_both_open_while_one_is_replaced(serve):
    client = serve(admin_token=TOKEN, admin_token_sha256=digest(OTHER))
    assert [status(client, token) for token in (TOKEN, OTHER, "neither of the two")] == [200, 200, 401]


def test_digest_is_sha_256_in_hex(monkeypatch):
    # NIST's example of "abc": as `printf %s abc | sha256sum` prints it.
    monkeypatch.setenv("TRUSTSERVE_ADMIN_TOKEN_SHA256", digest("abc"))
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert load_settings().admin_token_sha256 == known


@pytest.mark.parametrize("value", ["abc", digest("abc").upper(), digest("abc") + "00", TOKEN])
def test_what_is_no_digest_is_refused_and_not_shown(monkeypatch, value):
    monkeypatch.setenv("TRUSTSERVE_ADMIN_TOKEN_SHA256", value)
    with pytest.raises(SettingsError, match="TRUSTSERVE_ADMIN_TOKEN_SHA256 is not shown") as error:
        load_settings()
    assert value not in str(error.value)


def test_body_that_is_not_what_the_route_takes_is_a_problem_without_the_value(serve):
    client = serve(admin_token=TOKEN)
    shown = {"Authorization": f"Bearer {TOKEN}"}
    response = client.post("/admin/shadow", json={"model": ["a secret"], "share": 0.5}, headers=shown)
    assert_problem(response, 422, "request-invalid", r"body.model: Input should be a valid string; /docs shows")
    assert "secret" not in response.text
    assert_problem(client.post("/admin/shadow", content=b"{", headers=shown), 422, "request-invalid")
