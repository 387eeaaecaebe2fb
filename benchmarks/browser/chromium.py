"""Chromium, headless, driven by Playwright: pages that answer in time, or fail."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mnist_edge import cli
from mnist_edge.errors import InputError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")


class PageFailed(Exception):
    """A page did not answer, or with an error; the message is the cause."""


def command() -> str:
    """Returns the path of Chromium.

    Raises:
        InputError: It is not installed.
    """
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise InputError(
        "Chromium must be installed. Got: nothing of this name. Run: apt-get install chromium"
    )


@contextlib.contextmanager
def started() -> Iterator["Browser"]:
    """Starts Chromium; ends it when the block ends.

    Raises:
        InputError: Chromium or Playwright is not installed, or Chromium does not start.
    """
    path = command()
    with cli.needing("browser"):
        from playwright.sync_api import Error, sync_playwright
    # Chromium refuses its sandbox to root, whose containers are the sandbox.
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=flags)
        except Error as error:
            raise InputError(f"{path} must start. Got: {cli.one_line(error)}.") from error
        try:
            yield browser
        finally:
            with contextlib.suppress(Error):
                browser.close()


class Tab:
    """A page of the benchmark, open in a context of its own.

    Args:
        context: Where it opens, as Playwright has it.
        address: The server's address.
        seconds: The most that an answer may take.
    """

    def __init__(self, context: Any, address: str, seconds: float) -> None:
        self._milliseconds = 1000 * seconds
        with _failing():
            self._page = context.new_page()
            self._page.goto(f"{address}page.html", timeout=self._milliseconds)
            self._page.wait_for_function("window.ready", timeout=self._milliseconds)

    def ask(self, function: str, *arguments: object) -> Any:
        """Calls a function of the page; returns its answer.

        Raises:
            PageFailed: It throws, or takes too long, or the page crashes.
        """
        with _failing():  # unlike `evaluate`, this one ends in time whatever the page does
            answer = self._page.wait_for_function(
                "async ([name, given]) => ({value: await window[name](...given)})",
                arg=[function, list(arguments)],
                polling=1000,
                timeout=self._milliseconds,
            )
            return answer.evaluate("answer => answer.value")

    def close(self) -> None:
        """Closes the page; its context keeps the files that it fetched."""
        with _failing():
            self._page.close()


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """Turns Playwright's errors into `PageFailed`."""
    from playwright.sync_api import Error

    try:
        yield
    except Error as error:
        raise PageFailed(cli.one_line(error.message.partition("Call log:")[0])) from error
