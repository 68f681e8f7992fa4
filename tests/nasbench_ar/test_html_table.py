"""What notebooks show."""

from xml.etree import ElementTree

import pandas as pd

from nasbench_ar import Oracle
from nasbench_ar.html_table import html_table


def read(html: str) -> tuple[str, list[list[str]]]:
    """Caption and cells, by a reader of XML."""
    root = ElementTree.fromstring(f"<div>{html}</div>")
    lines = [["".join(cell.itertext()) for cell in line] for line in root.iter("tr")]
    return root.findtext("p", ""), lines


def test_markup_is_text() -> None:
    caption, lines = read(html_table("a < b & c", ("x", "y"), [("<script>", 1), ('"', 2.5)]))
    assert caption == "a < b & c"
    assert lines == [["x", "y"], ["<script>", "1"], ['"', "2.5"]]


def test_an_oracle_shows_its_metrics(toy: Oracle) -> None:
    caption, lines = read(toy._repr_html_())
    assert "toy numbers" in caption
    frame = toy.to_dataframe()
    assert [line[0] for line in lines[1:]] == list(toy.metrics)
    for name, *_, count, least, most in lines[1:]:
        known = pd.to_numeric(frame[name]).dropna()
        if name in ("macs", "params"):  # known without a training
            assert count == "16"
        else:
            assert (int(count), least, most) == (len(known), f"{known.min():,.6g}", f"{known.max():,.6g}")


def test_a_table_shows_what_it_stores(toy: Oracle) -> None:
    caption, lines = read(toy.table._repr_html_())
    assert "15 architectures, 16 trainings" in caption
    assert ["flags", "1", "odd"] in lines
    assert ["labels", "1", "gpu_type"] in lines
    assert ["curves", str(len(toy.table.curve_names)), ", ".join(toy.table.curve_names)] in lines
