"""The page in a real browser: as a person uses it, with mouse and finger."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import drawn_pages
import pytest
from hand import STROKES, Point
from PIL import Image
from playwright.sync_api import Browser, FilePayload, expect, sync_playwright
from playwright.sync_api import Page as Tab
from web_page import Page

from digits.handwriting import own_digits
from digits.reading.reader import shipped_page_network

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here; Debian has it as the package chromium"),
]

QUIET = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
"""As root in a container it needs the first; with the others it asks for nothing but the page."""

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, web: Page, complaints: bool = True, **options: Any) -> Iterator[Tab]:
    """Open the page; at the end, nothing may have been said in the console, and nobody else may have been asked."""
    context = browser.new_context(**options)
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    try:
        tab.goto(web.address)
        expect(tab.locator("#labels button")).to_have_count(10)
        yield tab
        assert not complaints or not said
        assert all(address.startswith(web.address) for address in asked)
    finally:
        context.close()


def places(tab: Tab, stroke: list[Point]) -> list[Point]:
    box = tab.locator("#pad").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]


def draw(tab: Tab, digit: str) -> None:
    """Draw with the mouse."""
    for stroke in STROKES[digit]:
        start, *others = places(tab, stroke)
        tab.mouse.move(*start)
        tab.mouse.down()
        for place in others:
            tab.mouse.move(*place, steps=3)
        tab.mouse.up()


def draw_by_finger(tab: Tab, digit: str) -> None:
    """Draw with touch events, as a touch screen sends them."""
    screen = tab.context.new_cdp_session(tab)
    for stroke in STROKES[digit]:
        for number, (x, y) in enumerate(places(tab, stroke)):
            kind = "touchMove" if number else "touchStart"
            screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def picture(text: str, name: str = "page.png") -> FilePayload:
    content = drawn_pages.png(drawn_pages.page(drawn_pages.row(text)))
    return {"name": name, "mimeType": "image/png", "buffer": content}


def test_digits_by_finger(browser: Browser, web: Page) -> None:
    with opened(browser, web, **PHONE) as tab:
        for digit in "457":
            draw_by_finger(tab, digit)
            expect(tab.locator("#digits")).to_have_text(digit)
            tab.locator("#clear").tap()
        wide = tab.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390  # nothing to scroll sideways
        high = tab.locator("#labels").bounding_box()
        assert high is not None
        assert high["y"] + high["height"] <= 780


def test_undo_goes_back_stroke_by_stroke_and_behind_clear(browser: Browser, web: Page) -> None:
    with opened(browser, web) as tab:
        draw(tab, "4")
        expect(tab.locator("#digits")).to_have_text("4")
        tab.locator("#clear").click()
        expect(tab.locator("#digits")).to_have_text("")
        tab.keyboard.press("Control+z")
        expect(tab.locator("#digits")).to_have_text("4")
        tab.locator("#undo").click()
        expect(tab.locator("#digits")).not_to_have_text("4")
        tab.locator("#undo").click()
        expect(tab.locator("#hint")).to_be_visible()
        tab.locator("#undo").click()  # there is nothing left


def test_a_late_answer_does_not_undo_clear(browser: Browser, web: Page) -> None:
    with opened(browser, web) as tab:
        asked = []
        tab.route("**/read?*", lambda route: asked.append(route))  # held back
        draw(tab, "7")
        expect(tab.locator("#undo")).to_be_enabled()
        assert len(asked) == 1  # one at a time, however much is drawn meanwhile
        tab.keyboard.press("Escape")
        with tab.expect_response("**/read?*"):
            asked[0].continue_()
        tab.wait_for_timeout(100)
        expect(tab.locator("#digits")).to_have_text("")
        expect(tab.locator("#hint")).to_be_visible()


@pytest.mark.parametrize("way", ["chosen", "dropped", "pasted"])
def test_a_picture_is_read(browser: Browser, web: Page, way: str) -> None:
    with opened(browser, web) as tab:
        if way == "chosen":
            tab.locator("#file").set_input_files(picture("258"))
        else:
            give = """([bytes, way]) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], "page.png", { type: "image/png" }));
                const event = way === "dropped" ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
                    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
                document.querySelector("#pad").dispatchEvent(event);
            }"""
            tab.evaluate(give, [list(picture("258")["buffer"]), way])
        expect(tab.locator("#digits button")).to_have_text(["2", "5", "8"])
        expect(tab.locator("#that")).to_have_text("Digit 1 of 3 was a")
        expect(tab.locator("#spoken")).to_have_text("3 digits: 258")
        tab.locator("#digits button").nth(1).click()
        expect(tab.locator("#bars .likeliest")).to_contain_text("5")
        tab.locator("#labels button").nth(5).click()
        expect(tab.locator("#status")).to_contain_text("5_1.png; 1 in all")
        expect(tab.locator("#labels button").first).to_be_disabled()  # it is saved
        tab.keyboard.press("Control+z")
        expect(tab.locator("#hint")).to_be_visible()
    assert own_digits.read(web.own_digits, shipped_page_network()).labels.tolist() == [5]


def test_nothing_and_no_digit_are_shown(browser: Browser, web: Page) -> None:
    with opened(browser, web) as tab:
        blank = drawn_pages.png(Image.new("L", (60, 60), 255))
        tab.locator("#file").set_input_files({"name": "a.png", "mimeType": "", "buffer": blank})
        expect(tab.locator("#confidence")).to_have_text("no ink")
        letter = drawn_pages.png(drawn_pages.page([("E", 100, 50)]))
        tab.locator("#file").set_input_files({"name": "w.png", "mimeType": "image/png", "buffer": letter})
        expect(tab.locator("#digits")).to_have_text("?")
        expect(tab.locator("#confidence")).to_contain_text("not a digit (likeliest ")


def test_a_drawing_is_saved_with_its_label(browser: Browser, web: Page) -> None:
    with opened(browser, web) as tab:
        for number in (1, 2):
            draw(tab, "7")
            expect(tab.locator("#digits")).to_have_text("7")
            tab.locator("#labels").get_by_role("button", name="1", exact=True).click()
            expect(tab.locator("#status")).to_contain_text(
                f"1_{number}.png; {number} in all. To teach them to the network: "
            )
            expect(tab.locator("#hint")).to_be_visible()
    assert web.saved() == ["1_1.png", "1_2.png"]


def test_it_says_that_the_server_has_gone_and_goes_on_when_it_is_back(browser: Browser, web: Page) -> None:
    with opened(browser, web, complaints=False) as tab:
        expect(tab.locator("#gone")).to_be_hidden()
        tab.context.set_offline(True)
        draw(tab, "2")
        expect(tab.locator("#gone")).to_be_visible()
        tab.context.set_offline(False)
        expect(tab.locator("#gone")).to_be_hidden()
        expect(tab.locator("#digits")).to_have_text("2")


def test_everything_has_a_name_for_a_screen_reader(browser: Browser, web: Page) -> None:
    with opened(browser, web) as tab:
        nameless = """[...document.querySelectorAll('button, input, canvas, [role]')].filter((one) =>
            !(one.ariaLabel || one.textContent.trim() || one.labels?.length || one.role === 'alert'
              || ['status', 'digits', 'labels'].includes(one.id))).map((one) => one.outerHTML)"""
        assert tab.evaluate(nameless) == []
        assert tab.get_by_role("meter").count() == 10
