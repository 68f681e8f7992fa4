"""The HTML report in a browser: pointer, keyboard, phone, dark mode, print; skipped where there is none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import report, run
from experiments.plots import style
from nasbench_ar import Oracle, TableWriter, load
from nasbench_ar.pareto import non_dominated
from tests.experiments.conftest import store_runs, write_table

pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install -e .[test])")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.experiments.browser import CHART, CHROMIUM, DRIVER, Browser, started

CONTROLS = "[...document.querySelectorAll('form select, form input')]"
CALM = {"prefers_color_scheme": "light", "prefers_reduced_motion": "reduce"}  # and no smooth scrolling
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no browser: install chromium and its driver (Debian: apt-get install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded table with a few short runs of two searchers."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "LAYOUT", None)
        for searcher in ("random_search", "local_search"):
            words = ["table=nares-figures", f"searcher={searcher}", "runs=5", "queries=40", "jobs=1", f"out={folder}"]
            run.main(words)
        content = report.make_page(load("nares-figures", quiet=True), folder / "nares-figures")
    report.write_page(content, folder / "r.html")
    return folder / "r.html"


@pytest.fixture(scope="module")
def opened(chromium: Any, page: Path) -> tuple[Browser, list[Any]]:
    """The page, opened once, and how its controls then stand."""
    out = Browser(chromium)
    out.emulate(**CALM)
    out.open(page)
    return out, out.script(f"return {CONTROLS}.map(e => [e.value, e.checked])")


@pytest.fixture
def window(opened: tuple[Browser, list[Any]]) -> Iterator[Browser]:
    """Any page; whatever is done to it, the console must stay without errors."""
    out, _ = opened
    out.emulate(**CALM)
    yield out
    assert out.errors() == []


@pytest.fixture
def browser(window: Browser, opened: tuple[Browser, list[Any]], page: Path) -> Browser:
    """The page as it opens."""
    _, states = opened
    if window.driver.current_url.partition("#")[0] != page.as_uri():
        window.open(page)
    reset = f"""
        {CONTROLS}.forEach((e, k) => {{
            const [value, checked] = arguments[0][k];
            if (e.value === value && e.checked === checked) return;
            if (e.type !== 'checkbox') e.value = value;
            e.checked = checked;
            e.dispatchEvent(new Event('change'));
        }});
        document.getElementById('zoom-reset').click();
        document.activeElement.blur();
        scrollTo(0, 0);"""
    window.script(reset, states)
    return window


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load("nares-figures", quiet=True)


def test_the_page_opens_without_asking_anyone(browser: Browser, oracle: Oracle) -> None:
    assert browser.script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert browser.text("#count").startswith("15,625 of 15,625 architectures")
    best, value = oracle.optimum("val_best_pgd_acc")
    assert f"[{' '.join(map(str, best))}]" in browser.text("#selection"), "the best is chosen at first"
    assert sorted(browser.values("y"))[-1] == value
    assert browser.script("return document.getElementById('landscape-chart').data[0].type") == "scattergl"


def test_hovering_a_point_tells_what_it_is(browser: Browser, oracle: Oracle) -> None:
    best, value = oracle.optimum("val_best_pgd_acc")
    chart = browser.driver.find_element(By.ID, "landscape-chart")
    browser.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", chart)
    script = """
        const {xaxis, yaxis} = document.getElementById('landscape-chart')._fullLayout;
        return [xaxis.d2p(arguments[0]) + xaxis._offset, yaxis.d2p(arguments[1]) + yaxis._offset]"""
    x, y = browser.script(script, float(oracle.space.macs(best)), value)
    size = chart.size
    move = ActionChains(browser.driver)
    move.move_to_element_with_offset(
        chart, round(x - size["width"] / 2) + 3, round(y - size["height"] / 2) + 3
    ).perform()
    move.move_to_element_with_offset(chart, round(x - size["width"] / 2), round(y - size["height"] / 2)).perform()
    browser.until("return !document.getElementById('tip').hidden")
    said = browser.text("#tip")
    assert said.startswith(f"[{' '.join(map(str, best))}]")
    for name in ("val_best_pgd_acc", "test_pgd_acc", "test_clean_acc"):
        assert f"{oracle.label(name)}{oracle.query(best, name):.2f} %" in said
    assert "MACs24.57 G" in said
    assert oracle.label("test_aa_acc") not in said, "the table has no value of it: not a zero"
    move.click().perform()
    browser.until("return document.getElementById('announcement').textContent !== ''")


def test_switching_axes_draws_other_values(browser: Browser, oracle: Oracle) -> None:
    title = "document.getElementById('landscape-chart').layout.{}axis.title.text"
    for axis, name in (("y", "test_pgd_acc"), ("x", "params"), ("y", "test_aa_acc")):
        browser.select(f"#{axis}-axis", name)
        known = oracle.available(name)
        browser.until(f"return {title.format(axis)}.startsWith('{oracle.label(name)}')")
        drawn = browser.values(axis)
        shown = oracle.column(name)[known & oracle.available("test_pgd_acc" if name == "params" else name)]
        np.testing.assert_array_equal(np.sort(drawn), np.sort(shown))
    assert "3,221 have no Test AA-Compact" in browser.text("#count")
    assert browser.values("y").min() > 0
    browser.select("#y-axis", "D2")
    browser.until(f"return {title.format('y')}.startsWith('D2')")
    assert set(np.round(browser.values("y"))) == {4, 5, 7, 9, 11}, "spread about the choices"


def test_marked_points_can_be_left_out(browser: Browser, oracle: Oracle) -> None:
    browser.driver.find_element(By.XPATH, "//label[contains(., 'low mode')]/input").click()
    kept = int((~oracle.flag("low_mode")).sum())
    browser.until(f"return document.getElementById('count').textContent.startsWith('{kept:,} of')")
    assert len(browser.values("y")) == kept


def test_finds_of_a_searcher_lie_on_top(browser: Browser) -> None:
    before = browser.script("return document.getElementById('landscape-chart').data.length")
    browser.check("finds", "local search")
    browser.until(f"return document.getElementById('landscape-chart').data.length === {before + 1}")
    searcher = browser.script("return Data.races[0].searchers[1]")
    assert searcher["name"] == "local_search"
    assert sum(searcher["finds"]["runs"]) == 5
    drawn = browser.script("return document.getElementById('landscape-chart').data[2].y")
    assert sorted(drawn) == sorted(
        browser.script(
            "return Data.races[0].searchers[1].finds.at.map(k => Data.byName.get('val_best_pgd_acc').values[k])"
        )
    )


def near(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(pixels - colour).max(axis=-1) < 45)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_finds_and_the_ring_are_seen_inside_the_cloud(browser: Browser, oracle: Oracle, scheme: str) -> None:
    browser.emulate(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    browser.select("#y-axis", "test_pgd_acc")
    middle = int(np.nanargmin(np.abs(oracle.column("test_pgd_acc") - 55.5)))
    browser.script("Selection.choose(arguments[0])", middle)
    ring = browser.spots(-1)[0]
    before = browser.picture()
    browser.check("finds", "local search")
    browser.until(f"return document.getElementById('{CHART}').data.length === 4")
    spots = browser.spots(2)
    after = browser.picture()
    covered = 0
    for x, y in spots:
        patch = np.s_[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        if near(before[patch], browser.colour("card")).mean() < 0.2:
            covered += 1  # by the cloud
            assert near(before[patch], browser.colour("series-2")).mean() < 0.2
            assert near(after[patch], browser.colour("series-2")).mean() > 0.5, f"the find at {x:.0f}, {y:.0f}"
    assert covered >= 3
    angles = np.linspace(0, 2 * np.pi, 60)
    rim = before[np.round(ring[1] + 9 * np.sin(angles)).astype(int), np.round(ring[0] + 9 * np.cos(angles)).astype(int)]
    assert near(rim, browser.colour("ring")).mean() > 0.8


def test_a_click_chooses_and_nothing_moves(browser: Browser) -> None:
    spots = browser.spots(1)
    corner = browser.script(
        "const { right, bottom } = document.querySelector('#landscape-chart .nsewdrag').getBoundingClientRect();"
        "return [right - 4, bottom - 4]"
    )

    def pointed_at(k: int) -> str:
        browser.mouse(*corner, "mouseMoved")
        browser.until("return document.getElementById('tip').hidden")
        browser.mouse(*spots[k], "mouseMoved")
        browser.until("return !document.getElementById('tip').hidden")
        return browser.text("#tip strong")

    before = browser.ranges(), browser.script("return scrollY"), spots[0]
    for k, clicks in ((100, 1), (5000, 2), (9000, 1)):  # two: a double click, which shows everything
        name = pointed_at(k)
        browser.mouse(*spots[k], *clicks * ("mousePressed", "mouseReleased"))
        browser.until(f"return Data.name(Selection.position()) === '{name}'")
        assert browser.text("#announcement").startswith(name)
        assert pointed_at(k) == name, "the tip still belongs to the point that was chosen"
        assert (browser.ranges(), browser.script("return scrollY"), browser.spots(1)[0]) == before


def test_the_view_stays_when_finds_are_laid_over(browser: Browser) -> None:
    whole = browser.ranges()
    browser.driver.find_element(By.ID, "zoom-in").click()
    browser.until(f"return document.getElementById('{CHART}').layout.yaxis.range[0] !== {whole[1][0]}")
    closer = browser.ranges()
    browser.check("finds", "local search")
    browser.until(f"return document.getElementById('{CHART}').data.length === 4")
    assert browser.ranges() == closer
    browser.driver.find_element(By.ID, "zoom-reset").click()
    browser.until(f"return document.getElementById('{CHART}').layout.yaxis.range[0] === {whole[1][0]}")
    assert browser.ranges() == whole


def test_the_list_of_the_best_stays_under_the_finger(browser: Browser) -> None:
    browser.emulate(width=360, height=740, prefers_color_scheme="light", prefers_reduced_motion="reduce")
    browser.until("return document.querySelector('#landscape-chart .main-svg').getBoundingClientRect().width < 360")
    where = "return arguments[0].getBoundingClientRect().top"
    heights = set()
    for button in browser.driver.find_elements(By.CSS_SELECTOR, "#best button")[::2]:
        browser.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
        before = browser.script(where, button)
        button.click()
        browser.until(f"return Data.name(Selection.position()) === '{button.text}'")
        browser.picture()  # a frame later
        assert browser.script(where, button) == pytest.approx(before, abs=1)
        heights.add(browser.script("return document.getElementById('selection').offsetHeight"))
    assert len(heights) > 1, "what is said of an architecture takes more or less room"


def test_everything_is_reached_and_done_by_keys(browser: Browser, oracle: Oracle) -> None:
    wanted = set(
        browser.script(
            "return [...document.querySelectorAll('select, button, input, a[href], [tabindex=\"0\"], summary')]"
            ".filter(e => !e.disabled && e.getClientRects().length).map((e, k) => (e.dataset.number = k))"
        )
    )
    reached, visible = [], []
    browser.script("document.querySelector('.skip').focus()")
    for _ in wanted:
        number, style = browser.script(
            "const e = document.activeElement; return [e.dataset.number, getComputedStyle(e).outlineStyle]"
        )
        if number is not None:
            reached.append(int(number))
            visible.append(style != "none")
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    assert reached == sorted(wanted), "everything, in the order of the page"
    assert all(visible[1:])  # a focus set by a script shows no ring

    browser.script("document.getElementById('landscape-chart').focus()")
    browser.press(Keys.END)
    best, value = oracle.optimum("val_best_pgd_acc")
    assert browser.text("#announcement").startswith(f"[{' '.join(map(str, best))}]: MACs 24.57 G, ")
    assert f"{value:.2f} %" in browser.text("#announcement")
    browser.press(Keys.ARROW_DOWN)
    second = np.sort(oracle.column("val_best_pgd_acc"))[-2]
    assert f"{second:.2f} %" in browser.text("#announcement")
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
    assert f"{second:.2f} %" in browser.text("#announcement"), "there and back"
    browser.press(Keys.HOME)
    assert f"{np.nanmin(oracle.column('val_best_pgd_acc')):.2f} %" in browser.text("#announcement")
    before, _ = browser.ranges()
    browser.press("+")
    browser.until(f"return document.getElementById('{CHART}').layout.xaxis.range[0] !== {before[0]}")
    after, _ = browser.ranges()
    assert before[0] < after[0] < after[1] < before[1]


def test_the_front_lies_on_top_and_is_listed(browser: Browser, oracle: Oracle) -> None:
    browser.select("#y-axis", "test_pgd_acc")
    browser.check("landscape-controls", "Pareto front")
    browser.until(f"return document.getElementById('{CHART}').data.length === 4")
    macs, value = oracle.column("macs"), oracle.column("test_pgd_acc")
    known = np.flatnonzero(~np.isnan(value))
    front = known[non_dominated(np.stack([-macs, value], axis=1)[known])]
    front = front[np.argsort(macs[front])]
    x, y, shape = browser.script(
        f"const t = document.getElementById('{CHART}').data[2]; return [Array.from(t.x), Array.from(t.y), t.line.shape]"
    )
    assert (x, y, shape) == (macs[front].tolist(), value[front].tolist(), "hv")
    assert f"; {len(front)} are on the front" in browser.text("#count")
    listed = browser.script("return [...document.querySelectorAll('#best button')].map(e => e.textContent)")
    assert listed == [f"[{' '.join(map(str, oracle.space.from_index(k)))}]" for k in front.tolist()]
    assert browser.text("#best-heading").startswith("Front of Test PGD20 and MACs")
    browser.select("#x-axis", "D1")
    browser.until(f"return document.getElementById('{CHART}').data.length === 3")
    assert browser.script("return document.getElementById('front').disabled"), "D1 has no better end"
    assert browser.text("#best-heading").startswith("Best by Test PGD20")


def test_a_link_leads_back_to_view_and_choice(browser: Browser, oracle: Oracle, page: Path) -> None:
    browser.select("#y-axis", "test_pgd_acc")
    browser.select("#x-axis", "params")
    for group, label in (("landscape-controls", "Pareto front"), ("doubts", "low mode"), ("finds", "local search")):
        browser.check(group, label)
    browser.driver.find_element(By.ID, "zoom-in").click()
    best = browser.driver.find_element(By.CSS_SELECTOR, "#best button")
    name = best.text
    best.click()
    browser.until("return document.getElementById('announcement').textContent !== ''")
    state = f"return [{CONTROLS}.map(e => [e.value, e.checked]), Data.name(Selection.position())]"
    drawn = f"return document.getElementById('{CHART}').data.map(t => Array.from(t.x))"
    before, points, ranges = browser.script(state), browser.script(drawn), browser.ranges()
    assert before[1] == name
    browser.until(
        "return location.hash.includes('range=') && location.hash.includes(`arch=${Data.text(Selection.position())}`)"
    )
    link = browser.script("return Link.whole()")
    assert link == browser.driver.current_url
    browser.driver.get("about:blank")
    browser.driver.get(link)
    browser.until("return performance.getEntriesByName('page').length > 0")
    assert (browser.script(state), browser.script(drawn)) == (before, points)
    np.testing.assert_allclose(browser.ranges(), ranges, rtol=1e-6)
    assert browser.script("return Math.abs(document.getElementById('landscape').getBoundingClientRect().top)") < 5
    browser.driver.get(f"{page.as_uri()}#view&x=nothing&y=macs&with=x&range=1,b&arch=1-2-3")  # of another page
    browser.until("return document.getElementById('y-axis').value === 'macs'")
    assert browser.script("return document.getElementById('x-axis').value") == "params"
    assert not browser.script("return document.getElementById('no-entry').hidden")
    browser.open(page)
    assert browser.script("return document.getElementById('x-axis').value") == "macs"


def test_an_architecture_is_copied(browser: Browser) -> None:
    browser.script("Selection.choose(Data.parse('9-16-11-14-11-10'))")
    browser.driver.find_element(By.XPATH, "//*[@id='selection']//button[.='Copy']").click()
    browser.until("return document.getElementById('announcement').textContent === 'Copied: 9-16-11-14-11-10'")
    area = "document.getElementById('pasted')"
    browser.script(f"document.body.append(element('textarea', {{ id: 'pasted' }})); {area}.focus()")
    ActionChains(browser.driver).key_down(Keys.CONTROL).send_keys("v").key_up(Keys.CONTROL).perform()
    browser.until(f"return {area}.value === '9-16-11-14-11-10'")
    browser.script(f"{area}.remove()")


def test_the_points_in_view_are_saved(browser: Browser, oracle: Oracle) -> None:
    browser.driver.find_element(By.ID, "zoom-in").click()
    browser.until(f"return document.getElementById('{CHART}').layout.xaxis.range[1] < 10.6")
    browser.script("const make = URL.createObjectURL; URL.createObjectURL = (blob) => make((window.saved = blob))")
    browser.driver.find_element(By.ID, "save-csv").click()
    text = browser.driver.execute_async_script("window.saved.text().then(arguments[0])")
    frame = pd.read_csv(io.StringIO(text))
    (left, right), (low, high) = browser.ranges()
    x, y = np.log10(oracle.column("macs")), oracle.column("val_best_pgd_acc")
    inside = np.flatnonzero((left <= x) & (x <= right) & (low <= y) & (y <= high))
    assert 100 < len(inside) < 15_000
    assert frame["arch"].tolist() == [str(oracle.space.from_index(k)) for k in inside.tolist()]
    assert frame["arch_id"].tolist() == oracle.space.arch_ids(indices=inside).tolist()
    for name in oracle.metrics:
        np.testing.assert_array_equal(frame[name], oracle.column(name)[inside])
    said = browser.script("return csv([['=1+1', 'a,b', 'say \"x\"', 1.5, NaN]])")
    assert said == '\'=1+1,"a,b","say ""x""",1.5,\n'
    browser.script("window.asked = []; Plotly.downloadImage = (_, how) => window.asked.push(how.format)")
    for name in ("png", "svg"):
        browser.driver.find_element(By.ID, f"save-{name}").click()
    assert browser.script("return window.asked") == ["png", "svg"]


def test_a_printed_picture_is_enlarged_on_a_phone(browser: Browser) -> None:
    browser.emulate(width=360, height=740, prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    button = browser.driver.find_element(By.CSS_SELECTOR, "button.enlarge")
    image = "document.querySelector('#enlarged img')"
    for close in (lambda: browser.press(Keys.ESCAPE), lambda: browser.press(Keys.ENTER)):
        browser.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
        button.click()
        browser.until(f"return document.getElementById('enlarged').open && {image}.complete")
        width, natural, alt = browser.script(f"return [{image}.clientWidth, {image}.naturalWidth, {image}.alt]")
        assert width >= natural > 500
        assert alt == "Regret against queries"
        assert browser.script("return document.documentElement.scrollWidth") == 360
        close()
        browser.until("return !document.getElementById('enlarged').open")


def test_printed_pictures_are_dark_on_a_dark_page_only(browser: Browser) -> None:
    look = "return getComputedStyle(document.querySelector('figure img')).filter"
    assert browser.script(look) == "none"
    browser.emulate(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    image = browser.driver.find_element(By.CSS_SELECTOR, "figure img")
    browser.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", image)
    box = browser.script(
        "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]", image
    )
    left, top, right, bottom = map(round, box)
    pixels = browser.picture()[top + 5 : bottom - 5, left + 5 : right - 5]
    assert np.median(pixels) < 60
    assert np.percentile(pixels, 99.9) > 200, "texts are light"
    browser.script("dispatchEvent(new Event('beforeprint'))")
    assert browser.script(look) == "none"
    browser.script("dispatchEvent(new Event('afterprint'))")


def test_an_architecture_is_chosen_by_its_numbers(browser: Browser, oracle: Oracle) -> None:
    chosen = oracle.space.parse("9-16-11-14-11-10")
    for entry, value in zip(oracle.space.entry_names, chosen, strict=True):
        browser.select(f"#entry-{entry}", str(value))
    said = browser.text("#selection")
    assert f"[9 16 11 14 11 10] arch_id {oracle.space.arch_id(chosen)}" in said
    value = oracle.query(chosen, "test_pgd_acc")
    place = 1 + int((oracle.column("test_pgd_acc") > value).sum())
    assert f"Test PGD20{value:.2f} %{place:,} of {int(oracle.available('test_pgd_acc').sum()):,}" in said
    assert browser.text("#announcement").startswith("[9 16 11 14 11 10]: ")


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser) -> None:
    browser.emulate(width=360, height=740, prefers_color_scheme="light")
    browser.until("return document.querySelector('#landscape-chart .main-svg').getBoundingClientRect().width < 360")
    assert browser.script("return document.documentElement.scrollWidth") == 360
    small = browser.script("""
        return [...document.querySelectorAll('select, button, nav a, summary, .checks label')]
            .map(e => [e.id || e.textContent, e.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.height < 44 || box.width < 44)).map(([name]) => name)""")
    assert small == []


def test_the_dark_scheme_reaches_the_pictures_but_not_the_printer(browser: Browser) -> None:
    script = """
        const chart = document.getElementById('landscape-chart'), curves = document.getElementById('race-0-chart');
        return [getComputedStyle(document.body).backgroundColor, chart.layout.font.color, curves.layout.font.color,
                JSON.stringify(chart.data[1].marker.colorscale), curves.data.at(-2).line.color]"""
    light = browser.script(script)
    browser.emulate(prefers_color_scheme="dark")
    browser.until("return document.getElementById('race-0-chart').layout.font.color === '#e6e8eb'")
    dark = browser.script(script)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    colour = "return document.getElementById('landscape-chart').layout.font.color"
    browser.script("dispatchEvent(new Event('beforeprint'))")
    assert browser.script(colour) == "#1c2024", "printed pictures are light"
    browser.script("dispatchEvent(new Event('afterprint'))")
    browser.until(f"{colour} === '#e6e8eb'")
    browser.emulate(**CALM)
    browser.until("return document.getElementById('race-0-chart').layout.font.color === '#1c2024'")
    assert browser.script(script) == light
    assert browser.script("return getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_trajectories_as_regret(browser: Browser, oracle: Oracle) -> None:
    chart = "document.getElementById('race-0-chart')"
    lines = browser.script(f"return {chart}.data.filter(t => t.name).map(t => [t.name, Array.from(t.y)])")
    assert [name for name, _ in lines] == [
        "random search",
        "local search",
        "random search, exact mean",
        "no search: one of the 50 largest, mean",
    ]
    browser.select("#race-0-scale", "regret")
    browser.until(f"return {chart}.layout.yaxis.type === 'log'")
    regret = browser.script(f"return Array.from({chart}.data.find(t => t.name === 'local search').y)")
    np.testing.assert_allclose(regret, oracle.optimum("val_best_pgd_acc")[1] - np.array(lines[1][1]), atol=1e-9)
    browser.select("#race-0-band", "run")
    browser.check("race-0-lines", "random search")
    browser.until(f"return !{chart}.data.some(t => t.name === 'random search')")


@pytest.fixture
def short(window: Browser, tmp_path: Path, real_pictures: None) -> Browser:
    """A race of three queries, in which every run of two searchers ends with the best."""
    table = write_table(tmp_path / "small", shift=0.1)
    column = Oracle(table).column("val_pgd_acc")
    assert np.float32(column.max()) < column.max(), "single precision would leave a regret"
    upwards = np.argsort(column)[-3:].tolist()
    for searcher, seeds in (("random_search", 2), ("local_search", 3)):
        store_runs(tmp_path / "r" / searcher, table, dict.fromkeys(range(seeds), upwards))
    report.write_page(report.make_page(Oracle(table), tmp_path / "r"), tmp_path / "page.html")
    window.open(tmp_path / "page.html")
    return window


def test_regret_of_a_short_race_grows_upwards_and_ends_at_the_best(short: Browser) -> None:
    chart = "document.getElementById('race-0-chart')"
    short.select("#race-0-scale", "regret")
    short.until(f"return {chart}.layout.yaxis.type === 'log'")
    low, high = short.script(f"return {chart}.layout.yaxis.range")
    assert low < high
    for band in ("mean", "run"):
        short.select("#race-0-band", band)
        regrets = short.script(f"return {chart}.data.filter(t => t.marker).map(t => t.y)")
        for first, second, last in regrets:
            assert first > 0
            assert second > 0
            assert last is None, "a regret of 0 has no place on a logarithmic scale"


def test_lines_that_are_no_searchers_are_named_with_their_signs(short: Browser) -> None:
    drawn = short.script("return document.getElementById('race-0-chart').data.filter(t => t.name && !t.marker)")
    entries = "[...document.querySelectorAll('#race-0-lines span')]"
    assert short.script(f"return {entries}.map(e => e.textContent)") == [line["name"] for line in drawn]
    assert all("mean" in line["name"] for line in drawn)
    dashes = short.script(f"return {entries}.map(e => getComputedStyle(e.querySelector('path')).strokeDasharray)")
    assert len(set(dashes)) == len(dashes) == 2


def test_values_under_the_pointer_have_their_digits(short: Browser) -> None:
    said = short.script("return [38.7, 0.00012345, -0.0001, 24570880, 0, null].map(inDigits)")
    assert said == ["38.700", "0.000123", "-0.0001", "2.457e+7", "0.000", ""]
    for line in short.script("return document.getElementById('race-0-chart').data.filter(t => t.name)"):
        assert line["hovertemplate"] == "%{text}"
        assert line["text"] == [f"{value:.3f}" for value in line["y"]]


def test_without_webgl_points_are_drawn_all_the_same(window: Browser, tmp_path: Path) -> None:
    table = write_table(tmp_path / "small")
    report.write_page(report.make_page(Oracle(table)), tmp_path / "page.html")
    source = "HTMLCanvasElement.prototype.getContext = () => null"
    added = window.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        window.open(tmp_path / "page.html")
    finally:
        window.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert "drawn without WebGL" in window.text("#count")
    assert window.script("return document.querySelectorAll('#landscape-chart .scatterlayer path.point').length") >= 81


def test_a_table_of_other_architectures(window: Browser, tmp_path: Path) -> None:
    rows = [(a, b, 10.0 * k + n) for k, a in enumerate(("=x", "y z")) for n, b in enumerate((16, 64, 1024))]
    frame = pd.DataFrame(rows, columns=["kind of thing", "size", "val_pgd_acc"]).rename(
        columns={"kind of thing": "kind"}
    )
    about = {"name": "mine", "title": "made up", "provenance": "a test", "licence": "none"}
    folder = TableWriter.from_frame(
        frame, tmp_path / "mine", entries=["kind", "size"], metrics=["val_pgd_acc"], **about
    )
    report.write_page(report.make_page(load(folder, quiet=True)), tmp_path / "page.html")
    window.open(tmp_path / "page.html")
    assert "[y z, 1024] arch_id 6" in " ".join(window.text("#selection").split())
    axis = f"return document.getElementById('{CHART}').layout.xaxis"
    assert window.script(f"{axis}.ticktext") == ["=x", "y z"], "levels as labels, where there is no cost"
    window.select("#x-axis", "size")
    window.until(f"{axis}.ticktext[0] === '16'")
    assert window.script(f"{axis}.tickvals") == [0, 1, 2]
    window.select("#entry-kind", "=x")
    assert "[=x, 1024] arch_id 3" in " ".join(window.text("#selection").split())
    assert window.text("#announcement").startswith("[=x, 1024]: size 1024, Val PGD20 2")
    assert window.script("return Data.text(Selection.position())") == "=x,1024"
    assert window.script("return Data.parse('y z,64')") == 4
    assert window.script("return Data.parse('y z,65')") == -1
