"""The dashboard in a real browser: its pages, and that no data of a task is executed there."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("selenium", reason="needs selenium")
pytest.importorskip("starlette", reason="needs the extra web")

from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from asynctasq import Config, DriverFactory, MsgpackSerializer
from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.drivers.sqlite.driver import SQLiteDriver
from asynctasq.serialization.envelope import Envelope, codec_of

T = TypeVar("T")

TOKEN = "a token of more than sixteen"
EVIL = "shop:<script>window.hacked = 1</script>"
NOTE = (
    'ValueError: <img src=x onerror="window.hacked = 1"> \x1b[31m\u202e\nTraceback\n  <b>bold</b>'
)

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
CHAUFFEUR = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    BROWSER is None or CHAUFFEUR is None, reason="there is no chromium with its chromedriver here"
)


class Broker:
    """The queues behind the dashboard, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._config = Config(driver="sqlite", sqlite_path=str(path))

    def do(self, work: Callable[[SQLiteDriver], Awaitable[T]]) -> T:
        """Returns the result of `work` for a connected driver."""

        async def main() -> T:
            driver = DriverFactory.create_from_config(self._config)
            assert isinstance(driver, SQLiteDriver)
            await driver.connect()
            try:
                return await work(driver)
            finally:
                await driver.disconnect()

        return asyncio.run(main())

    def store(self, *ids: str, queue: str) -> None:
        """Store calls of a task whose name and argument try to be more than text."""
        envelope = Envelope(task=EVIL, args=("<i>\x07",), kwargs={})
        body = codec_of(MsgpackSerializer(), self._config.signing_keys).encode(envelope)
        self.do(lambda driver: driver.enqueue([Message(one, queue, body) for one in ids]))

    def bury(self, *ids: str, queue: str) -> None:
        """Store calls, and give them up."""
        self.store(*ids, queue=queue)

        async def work(driver: SQLiteDriver) -> None:
            held = await driver.dequeue([queue], limit=len(ids), lease=60, wait=0)
            await driver.settle([Settlement(one, Outcome.DEAD, note=NOTE) for one in held])

        self.do(work)

    def counts(self, queue: str) -> tuple[int, int]:
        """How many are ready and dead."""
        (stats,) = self.do(lambda driver: driver.counts([queue]))
        return stats.ready, stats.dead


class Page:
    """A browser with the dashboard open."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self, view: str = "") -> None:
        """Go to a view."""
        self.browser.get(f"{self.url}{view}")

    def until(self, condition: Callable[[], T]) -> T:
        """Wait for something that is true, and fail when it does not come."""
        deadline = time.monotonic() + 30
        while True:
            try:
                if found := condition():
                    return found
            except (
                NoSuchElementException,
                StaleElementReferenceException,
            ):  # it was replaced while we looked
                pass
            assert time.monotonic() < deadline, self.browser.find_element(By.TAG_NAME, "body").text
            time.sleep(0.05)

    def find(self, css: str) -> WebElement:
        """The first visible element, as soon as it exists."""
        return self.until(
            lambda: next(
                (e for e in self.browser.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()),
                None,
            )
        )

    def button(self, text: str) -> WebElement:
        """The visible button with this text, as soon as it can be used."""
        return self.until(
            lambda: next(
                (
                    e
                    for e in self.browser.find_elements(By.TAG_NAME, "button")
                    if e.is_displayed() and e.is_enabled() and e.text == text
                ),
                None,
            )
        )

    def click(self, find: Callable[[], WebElement]) -> None:
        """Click an element; find it again when it was replaced meanwhile."""

        def click() -> bool:
            find().click()
            return True

        self.until(click)

    def sees(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.until(lambda: text in self.browser.find_element(By.TAG_NAME, "body").text)

    def sign_in(self) -> None:
        """Give the token."""
        self.open()
        self.find("#token").send_keys(TOKEN)
        self.click(lambda: self.button("Sign in"))
        self.find("#pulse[data-state=live]")

    def row(self, queue: str) -> list[str]:
        """The counts of a queue in the overview: ready, delayed, running, dead."""
        for row in self.browser.find_elements(By.CSS_SELECTOR, "tbody tr"):
            if row.find_element(By.CSS_SELECTOR, "td.name a").text == queue:
                cells = row.find_elements(By.CSS_SELECTOR, "td.number")
                return [cell.text for cell in cells[:4]]
        return []

    def is_clean(self) -> None:
        """Fail if anything was refused, failed, or ran that came with a task."""
        assert self.browser.get_log("browser") == []  # type: ignore[no-untyped-call]
        assert self.browser.execute_script("return window.hacked") is None  # type: ignore[no-untyped-call]


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path / "queues.db")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        one = webdriver.Chrome(options=options, service=Service(str(CHAUFFEUR)))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start: {(error.msg or '').partition(chr(10))[0]}")
    yield one
    one.quit()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[str, Any]]]:
    """Starts dashboards; returns the address and the process of each."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ASYNCTASQ_")}
    started: list[subprocess.Popen[str]] = []

    def start(broker: Broker, *words: str, port: int = 0) -> tuple[str, Any]:
        process = subprocess.Popen(
            [sys.executable, "-m", "asynctasq", "web", "--port", str(port), "--allow-actions",
             "--driver", "sqlite", "--sqlite-path", str(broker.path), *words],
            cwd=tmp_path, env={**clean, "ASYNCTASQ_WEB_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().split()[-1], process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


@pytest.fixture(params=["", "/ops/queue"], ids=["root", "sub-path"])
def page(
    request: pytest.FixtureRequest,
    browser: webdriver.Chrome,
    serve: Callable[..., tuple[str, Any]],
    broker: Broker,
) -> Iterator[Page]:
    """The dashboard, signed in."""
    url, _ = serve(broker, "--root-path", request.param)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.set_window_size(1280, 900)
    browser.get_log("browser")  # type: ignore[no-untyped-call] # of the test before
    one = Page(browser, url)
    one.sign_in()
    yield one
    browser.get("about:blank")  # before its server ends


def test_numbers_change_while_people_look(page: Page, broker: Broker) -> None:
    page.sees("No queue holds a message")
    broker.store("a", queue="emails")
    broker.bury("b", "c", queue="<b>images</b>")
    page.until(lambda: page.row("emails") == ["1", "0", "0", "0"])
    page.until(lambda: page.row("<b>images</b>") == ["0", "0", "0", "2"])
    page.until(lambda: page.find(".tile.bad dd").text == "2")
    broker.store(*(f"id-{n}" for n in range(1500)), queue="emails")
    page.until(lambda: page.row("emails")[0] == "1,501")
    page.is_clean()


def test_what_comes_with_a_task_is_text(page: Page, broker: Broker) -> None:
    broker.bury("dead", queue="q/%2F?#")
    broker.store("ready", queue="q/%2F?#")
    page.until(lambda: page.row("q/%2F?#") == ["1", "0", "0", "1"])
    page.click(lambda: page.find("td.number a.bad"))
    page.sees(EVIL)
    page.sees('ValueError: <img src=x onerror="window.hacked = 1"> \\x1b[31m\\u202e')
    page.sees(r"('<i>\x07')")
    page.click(lambda: page.find("td.task a"))
    page.sees("<b>bold</b>")
    assert page.find("h1").text == EVIL
    assert page.find("pre.traceback").text.startswith("ValueError: <img")
    page.is_clean()


def test_a_dead_task_is_requeued_and_others_are_deleted(page: Page, broker: Broker) -> None:
    broker.bury("a", "b", "c", queue="q")
    page.open("#/queue/q/dead")
    page.click(lambda: page.find("input[aria-label='Select b']"))
    page.click(lambda: page.button("Requeue"))
    page.sees("q: 1 requeued")
    assert broker.counts("q") == (1, 2)
    page.until(lambda: len(page.browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 2)
    page.click(lambda: page.button("Purge all"))
    page.sees("They are removed permanently.")
    page.click(lambda: page.button("Keep"))
    page.until(lambda: not page.browser.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert broker.counts("q") == (1, 2)
    page.click(lambda: page.button("Purge all"))
    page.click(lambda: page.find("#ask-yes"))
    page.sees("q: 2 removed")
    page.sees("No dead tasks.")
    assert broker.counts("q") == (1, 0)
    page.is_clean()


def test_a_queue_is_paused_and_resumed(page: Page, broker: Broker) -> None:
    broker.store("a", queue="q")
    page.click(lambda: page.button("Pause"))
    page.find("td .mark")
    assert broker.do(lambda driver: driver.paused()) == ["q"]
    page.click(lambda: page.button("Resume"))
    page.until(
        lambda: not page.find("td.name").find_element(By.CSS_SELECTOR, ".mark").is_displayed()
    )
    assert broker.do(lambda driver: driver.paused()) == []
    page.is_clean()


def test_waiting_tasks_are_paged_and_one_is_found_by_its_id(page: Page, broker: Broker) -> None:
    broker.store(*(f"id-{n:03}" for n in range(120)), queue="q")
    page.open("#/queue/q/ready")
    page.sees("1 to 50")
    for text in ("51 to 100", "101 to 120"):
        page.click(lambda: page.browser.find_element(By.LINK_TEXT, "Next →"))
        page.sees(text)
    page.find("#find-id").send_keys("id-007\n")
    page.until(lambda: page.find("h1").text == EVIL)
    page.click(lambda: page.button("Cancel"))
    page.click(lambda: page.find("#ask-yes"))
    page.sees("removed before it ran")
    page.sees("no message has this id")
    assert broker.counts("q") == (119, 0)


def test_a_phone_shows_everything_without_scrolling_sideways(page: Page, broker: Broker) -> None:
    broker.bury("a" * 80, queue="a-queue-with-a-name-that-is-long-and-has-no-place-to-break")
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        queue = "a-queue-with-a-name-that-is-long-and-has-no-place-to-break"
        for view in ("", f"#/queue/{queue}/dead", f"#/task/{queue}/{'a' * 80}", "#/settings"):
            page.open(view)
            page.find("#pulse[data-state=live]")
            page.find("main table, main dl")
            wide = page.browser.execute_script("return document.documentElement.scrollWidth")  # type: ignore[no-untyped-call]
            assert wide <= 400, view
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_colours_are_chosen_and_kept(page: Page) -> None:
    def background() -> str:
        return page.find("body").value_of_css_property("background-color")

    before, chosen = background(), page.find("#theme").text
    page.click(lambda: page.find("#theme"))
    assert background() != before
    assert page.find("#theme").text != chosen
    after = background()
    page.browser.refresh()
    assert background() == after
    page.click(lambda: page.find("#theme"))
    page.is_clean()


def test_a_lost_server_is_shown_and_comes_back(
    browser: webdriver.Chrome, serve: Callable[..., tuple[str, Any]], broker: Broker
) -> None:
    url, process = serve(broker)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    page = Page(browser, url)
    page.sign_in()
    process.kill()
    process.wait()
    page.until(lambda: "server does not respond" in page.find("#banner").text)
    port = re.search(r":(\d+)/", url)
    assert port is not None
    serve(broker, port=int(port[1]))  # the session outlives it
    page.find("#pulse[data-state=live]")
    page.until(lambda: not page.browser.find_element(By.ID, "banner").is_displayed())


def test_a_wrong_token_is_refused(
    browser: webdriver.Chrome, serve: Callable[..., tuple[str, Any]], broker: Broker
) -> None:
    url, _ = serve(broker)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    page = Page(browser, url)
    page.open()
    page.find("#token").send_keys("not the token at all")
    page.click(lambda: page.button("Sign in"))
    page.sees("wrong token")
    assert page.browser.current_url.endswith("/login")
