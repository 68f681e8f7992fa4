"""Pages, read back."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from experiments.page import document
from nasbench_ar import Oracle, Table


class Reader(HTMLParser):
    """Elements of a page: attributes, and the content of the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.words += data


def page_of(table: Table, **more: Any) -> str:
    return document.render(document.Page(Oracle(table), **more))


def data_of(text: str) -> dict[str, Any]:
    return json.loads(Reader(text).scripts[0])


# -- columns ---------------------------------------------------------------------
