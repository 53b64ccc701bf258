"""What browsers are told: by every answer, by the pages, and where a page from elsewhere asks."""

import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from service.settings import SettingsError, load_settings
from tests.service.server import Server
from tests.tiny import png, quadrants

IMAGE = png(quadrants(200, 50, 20, 120))
PAGE = {"Accept": "text/html"}


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/nothing", "/model", "/monitor", "/predict", "/docs"])
def test_every_answer_is_what_its_type_says_and_is_not_kept(client, path):
    headers = client.get(path).headers
    assert headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_list("Cache-Control") == ["no-store"]


def test_predictions_and_problems_are_not_kept(client):
    for body in (IMAGE, b"no image"):
        response = client.post("/predict", files={"image": body})
        assert response.headers["Cache-Control"] == "no-store"
        assert "Content-Security-Policy" not in response.headers


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere_and_lie_in_no_frame(client, path):
    headers = client.get(path, headers=PAGE).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())
    assert headers["Referrer-Policy"] == "no-referrer"


def test_docs_draw_under_that_policy(tiny_bundle, tmp_path, browser):
    server = Server(tmp_path, "--model", str(tiny_bundle))
    try:
        browser.get(f"{server.url}/docs")
        WebDriverWait(browser, 20).until(lambda page: page.find_elements(By.CSS_SELECTOR, ".opblock-summary-path"))
        shown = [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".opblock-summary-path")]
        assert "/predict" in [text.replace("\u200b", "") for text in shown]
        browser.get(server.url)
        assert browser.find_element(By.TAG_NAME, "body").value_of_css_property("max-width") == "640px"
        said = [entry["message"] for entry in browser.get_log("browser")]
        assert not [message for message in said if "Content Security Policy" in message]
    finally:
        server.stop()


def test_pages_from_elsewhere_are_not_answered_unless_told_so(client):
    asked = {"Origin": "https://photos.example", "Access-Control-Request-Method": "POST"}
    assert client.options("/predict", headers=asked).status_code == 405
    response = client.post("/predict", files={"image": IMAGE}, headers={"Origin": "https://photos.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_pages_of_the_origins_that_are_set_are_answered(serve):
    client = serve(cors_origins="https://photos.example,http://localhost:3000")
    for origin, answered in [("https://photos.example", True), ("http://localhost:3000", True), ("https://x", False)]:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        allowed = origin if answered else None
        assert client.options("/predict", headers=asked).headers.get("Access-Control-Allow-Origin") == allowed
        response = client.post("/predict", files={"image": IMAGE}, headers={"Origin": origin})
        assert response.status_code == 200
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("value", ["photos.example", "https://a, https://b", "https://a/path", "null", ","])
def test_what_is_no_origin_is_refused(value):
    with pytest.raises(SettingsError, match="--cors-origins is"):
        load_settings(cors_origins=value)


@pytest.fixture
def browser():
    """A Chromium that reaches nothing but this machine."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail("no browser to open the docs in; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * 0.0.0.0",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    yield browser
    browser.quit()
