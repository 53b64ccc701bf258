"""The report in a real browser, from a file: silent, self-contained, whole at every width and on paper."""

import base64
import json
import shutil
from itertools import pairwise

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.training.report_example import by_hand, everything
from training.report.page import write_report

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
]
SECTIONS = {
    "methods",
    "risk-coverage",
    "decisions",
    "reliability",
    "class-trust",
    "worst-classes",
    "shift",
    "other-data",
    "losses",
    "conventions",
}
PANELS = {
    "plot-risk-coverage": 2,
    "plot-histogram": 2,
    "plot-reliability": 2,
    "plot-spectrum": 1,
    "plot-density": 2,
    "plot-shift": 3,
    "plot-losses": 2,
}
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def browser():
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail("no browser to open the report in; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "report"
    write_report(folder, everything(), resamples=20)
    return (folder / "index.html").as_uri()


@pytest.fixture
def page(browser, address):
    show(browser, address, WIDTHS["desktop"])
    return browser


def show(browser, address, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(address)


def test_console_is_silent_and_nothing_else_is_loaded(browser, address):
    browser.get_log("performance")
    show(browser, address, WIDTHS["desktop"])
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert browser.get_log("browser") == []
    assert address in sent
    assert {url for url in sent if not url.startswith("data:")} == {address}


def test_page_runs_no_script_and_says_so(page):
    policy = page.find_element(By.CSS_SELECTOR, "meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not page.find_elements(By.TAG_NAME, "script")


def test_every_section_is_in_the_contents_and_every_link_leads_somewhere(page):
    links = [link.get_attribute("href").split("#")[1] for link in page.find_elements(By.CSS_SELECTOR, "nav a")]
    assert set(links) == SECTIONS
    for target in links:
        assert page.find_element(By.ID, target).is_displayed()


def test_no_id_is_given_twice(page):
    ids = page.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    used = page.execute_script(
        'return [...document.documentElement.innerHTML.matchAll(/(?:url\\(|href=")#([^)"]+)/g)].map(m => m[1])'
    )
    assert set(used) <= set(ids)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_page_never_scrolls_sideways(browser, address, width):
    show(browser, address, width)
    root = "document.documentElement"
    assert browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth && window.innerWidth == {width}")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_plot_is_there_and_large_enough_to_read(browser, address, width):
    show(browser, address, width)
    for name, panels in PANELS.items():
        drawn = browser.find_elements(By.CSS_SELECTOR, f"#{name} svg")
        assert len(drawn) == panels, name
        for svg in drawn:
            assert svg.size["width"] >= 230, name
            assert svg.size["height"] >= 150, name
            assert svg.accessible_name, name


def test_every_plot_has_words_and_its_numbers(page):
    for name in PANELS:
        figure = page.find_element(By.ID, name)
        assert figure.find_element(By.TAG_NAME, "h3").text
        assert len(figure.find_element(By.TAG_NAME, "figcaption").text) > 40
        details = figure.find_element(By.TAG_NAME, "details")
        if details.get_attribute("open") is None:
            details.find_element(By.TAG_NAME, "summary").click()
        rows = details.find_elements(By.CSS_SELECTOR, "tbody tr")
        assert rows, name
        assert rows[0].is_displayed()


def test_example_images_are_decoded_and_described(page):
    images = page.find_elements(By.CSS_SELECTOR, ".example img")
    assert len(images) == 4 * 6
    for image in images:
        assert image.get_property("naturalWidth") == 28
        assert image.get_attribute("alt").startswith("Test image ")
    caption = page.find_element(By.CSS_SELECTOR, ".example figcaption").text
    assert [line.split()[0] for line in caption.splitlines()] == ["said", "is", "confidence", "trust"]


def test_headings_never_skip_a_level(page):
    levels = [int(h.tag_name[1]) for h in page.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4, h5, h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_on_light_and_dark(browser, address, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    show(browser, address, WIDTHS["desktop"])
    paper = luminance(browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    assert (paper > 0.9) == (scheme == "light")
    for selector in ("body", "figcaption", "#plot-spectrum svg text", "summary"):
        element = browser.find_element(By.CSS_SELECTOR, selector)
        ink = luminance(element.value_of_css_property("fill" if selector.endswith("text") else "color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, selector  # WCAG 2.2, level AA


def luminance(colour):
    """Relative luminance of a CSS rgb() colour (WCAG 2.2)."""
    channels = [int(c) / 255 for c in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_page_prints(page):
    printed = base64.b64decode(page.print_page())
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000


def test_numbers_shown_are_those_computed_by_hand(browser, tmp_path):
    write_report(tmp_path, by_hand(), resamples=20)
    show(browser, (tmp_path / "index.html").as_uri(), WIDTHS["desktop"])
    row = browser.find_element(By.CSS_SELECTOR, "#methods tbody tr")
    assert row.find_element(By.TAG_NAME, "th").text.splitlines() == ["trust", "served"]
    shown = [cell.text.splitlines()[0] for cell in row.find_elements(By.TAG_NAME, "td")]
    # AUROC: 3 of 4 pairs. FPR@95: 1 of 2. AUPR-Error, from below: right at 1, wrong .. (1/1 + 2/3) / 2.
    assert shown == ["75.0", "50.0", "83.3", "83.33"]
    tiles = [tile.text for tile in browser.find_elements(By.CSS_SELECTOR, ".tiles strong")]
    assert tiles[0].replace("\N{NO-BREAK SPACE}", " ") == "50.0 %"
