"""A page in a browser, as a reader works it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--hide-scrollbars",
    "--no-first-run",
)
SECONDS = 30  # patience on a busy machine
CHART = "landscape-chart"


def started(profile: Path) -> Any:
    """A browser without a window on the screen."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(str(DRIVER)))


class Browser:
    """A page in a window, and short words for what a reader does with it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.script = driver.execute_script

    def open(self, page: Path) -> None:
        self.driver.get(page.as_uri())
        self.until("return performance.getEntriesByName('page').length > 0")

    def until(self, script: str) -> None:
        WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(lambda _: self.script(script))

    def text(self, selector: str) -> str:
        return str(self.script("return document.querySelector(arguments[0]).textContent", selector))

    def select(self, selector: str, value: str) -> None:
        Select(self.driver.find_element(By.CSS_SELECTOR, selector)).select_by_value(value)

    def check(self, group: str, label: str) -> None:
        self.driver.find_element(By.XPATH, f"//*[@id='{group}']//label[contains(., '{label}')]/input").click()

    def emulate(self, *, width: int = 1280, height: int = 900, **media: str) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def values(self, axis: str) -> np.ndarray:
        """What is drawn along an axis: points with and without a colour."""
        script = "return [0, 1].map(k => Array.from(document.getElementById(arguments[1]).data[k][arguments[0]]))"
        without, coloured = self.script(script, axis, CHART)
        return np.array([*without, *coloured])

    def ranges(self) -> list[list[float]]:
        return self.script(
            "return ['xaxis', 'yaxis'].map(a => document.getElementById(arguments[0]).layout[a].range)", CHART
        )

    def spots(self, trace: int) -> list[list[float]]:
        """Where in the window the points of a trace lie, once the chart is in its middle."""
        return self.script(
            """
            const chart = document.getElementById(arguments[0]), { xaxis, yaxis } = chart._fullLayout;
            chart.scrollIntoView({ block: 'center', behavior: 'instant' });
            const box = chart.getBoundingClientRect(), { x, y } = chart.data.at(arguments[1]);
            const to = (axis, value) => axis._offset + axis.c2p(axis.d2c(value));
            return Array.from(x, (_, k) => [to(xaxis, x[k]) + box.left, to(yaxis, y[k]) + box.top]);""",
            CHART,
            trace,
        )

    def picture(self) -> np.ndarray:
        """(height, width, 3) int, the colours in the window."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        with Image.open(io.BytesIO(self.driver.get_screenshot_as_png())) as image:
            return np.asarray(image.convert("RGB"), dtype=int)

    def colour(self, name: str) -> np.ndarray:
        return np.array([int(self.script("return Theme.value(arguments[0])", name)[k : k + 2], 16) for k in (1, 3, 5)])

    def mouse(self, x: float, y: float, *kinds: str) -> None:
        for kind in kinds:
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **button})

    def errors(self) -> list[str]:
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "ERROR")]
