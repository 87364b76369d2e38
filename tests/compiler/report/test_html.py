"""The page: what it holds, that names do no harm, and that a browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mho.report import render, write_html
from mho.report.html import look
from mho.report.summary import summarise
from mho.targets.program import Program
from mho.targets.target import Source
from tests.compiler.report.crowd import Shape, crowd, mobile, resnet9, stack
from tests.compiler.report.outcomes import OUTCOME, outcome_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\n&amp;[bold]\u202e{{ 7*7 }}"


class Elements(HTMLParser):
    """Counts tags and gathers attributes that run code or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.risky: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.risky += [name for name, _ in attrs if name.startswith("on") or name in ("src", "href", "action")]


def elements(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    return found


def hostile() -> Program:
    program = crowd((Shape(HOSTILE, 300, 300, operator=HOSTILE), Shape("fc", 4, 4)), name=HOSTILE)
    manifest = replace(program.manifest, warnings=(HOSTILE,), versions={HOSTILE: HOSTILE}, options={HOSTILE: HOSTILE})
    target = replace(program.target, title=HOSTILE, sources={HOSTILE: Source(text=HOSTILE)})
    return replace(program, manifest=manifest, target=target)


def embedded(page: str) -> str:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    return found[1]


def test_the_page_stands_alone() -> None:
    page = summarise(resnet9(), outcome_of(resnet9())).html()
    found = elements(page)
    assert found.risky == []
    assert "link" not in found.tags
    assert "http" not in re.sub(r'http-equiv="Content|http://www.w3.org/2000/svg', "", page)
    assert "url(" not in re.sub(r"url\(#p\d\)", "", page)


def test_each_kind_is_rendered_and_the_page_written(tmp_path: Path) -> None:
    report = summarise(resnet9())
    write_html(report, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(report, "html")
    assert json.loads(render(report, "json"))["schema"] == "mho-report-1"
    assert render(report, "text") == str(report)


def test_only_its_own_script_may_run() -> None:
    page = summarise(resnet9()).html()
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_hostile_names_stay_text() -> None:
    accuracy = OUTCOME | {"layers": [{"name": HOSTILE, "sqnr_db": 1.0}], "reference": {"kind": HOSTILE}}
    page = summarise(hostile(), accuracy).html()
    found, harmless = elements(page), elements(summarise(resnet9()).html())
    assert found.risky == []
    assert "img" not in found.tags
    assert found.tags["script"] == harmless.tags["script"] == 2
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page


def test_the_data_closes_no_tag_and_says_the_same_name() -> None:
    text = embedded(summarise(hostile()).html())
    assert "<" not in text and ">" not in text and "&" not in text
    name = json.loads(text)["layers"][0]["name"]
    assert name.startswith("<script>alert(1)</script>")
    assert "\\n" in name and "\n" not in name


def test_what_the_page_says() -> None:
    page = summarise(resnet9(), outcome_of(resnet9())).html()
    for part in ("71.2 %", "≥ 400 µs", "1.87 M", "pooling is not a product with weights", "93.67 %", "9f2c9f2c"):
        assert part in page
    assert "Between chips" not in page
    assert "Between chips" in summarise(stack(3)).html()
    assert "Accuracy" not in summarise(resnet9()).html()


def test_long_names_are_short_where_they_stand_and_whole_on_hover() -> None:
    name = "model/activation/Relu;model/batch_normalization/FusedBatchNormV3;model/conv2d/Conv2D"
    page = summarise(crowd((Shape(name, 40, 40), Shape("fc", 4, 4)))).html()
    assert f'title="{name}">model/activati…' in page
    assert f">{name}" not in page


def test_a_schedule_of_many_steps_has_no_column_for_names() -> None:
    page = summarise(stack(2, layers=70)).html()
    assert 'class="gantt dense"' in page
    assert ".gantt.dense { grid-template-columns: minmax(0, 1fr) }" in page
    assert '<span class="name"></span><span class="axis">' in page


def test_forty_layers_look_different() -> None:
    assert len({look(colour) for colour in range(40)}) == 40
    assert look(None) == "digital"


def test_many_tiles_are_shown_chip_by_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    page = summarise(stack(3)).html()
    assert page.count('class="floor"') == 3
    monkeypatch.setattr("mho.report.html.MOST_TILES", 100)
    page = summarise(stack(3)).html()
    assert page.count('class="card"') == 3
    assert 'class="floor"' not in page


def dom(page: str, folder: Path, fragment: str = "") -> str:
    """The document as Chromium has it after its script ran; skips where there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", "--dump-dom"]
    address = file.as_uri() + fragment
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run([browser, *options, profile, address], capture_output=True, text=True, timeout=60, check=True)
    assert 'data-ready="yes"' in done.stdout
    assert "data-error" not in re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)
    return done.stdout


@pytest.mark.browser
@pytest.mark.parametrize("program", [mobile(), hostile(), stack(5, 50)], ids=["mobile", "hostile", "five"])
def test_a_browser_draws_every_tile_and_block(program: Program, tmp_path: Path) -> None:
    drawn = dom(summarise(program, outcome_of(program)).html(), tmp_path)
    assert drawn.count('class="tile"') == len(program.cores)
    assert drawn.count('class="seat ') == sum(len(core.loads) for core in program.cores)
    assert drawn.count('class="wedge ') == sum(link.source.chip == link.target.chip for link in program.mapping.links)
    assert "<img" not in drawn


def large(nodes: int) -> Program:
    """A program with many nodes, each of a reason of its own detail."""
    program = resnet9()
    extra = (
        replace(program.decisions[-3], node=f"layer{i}/attention", detail=f"'key' from node 'transpose{i}' (Transpose)")
        for i in range(nodes)
    )
    return replace(program, decisions=(*program.decisions, *extra))


def test_thousands_of_nodes_are_data_and_their_reasons_stand_once() -> None:
    page = summarise(large(2000)).html()
    data = json.loads(embedded(page))
    assert len(data["nodes"]) == len(large(2000).decisions)
    assert len(data["reasons"]) == len(summarise(resnet9()).reasons)
    assert len(page) < len(summarise(resnet9()).html()) + 2000 * 150


@pytest.mark.browser
def test_a_browser_lists_the_first_nodes_of_many(tmp_path: Path) -> None:
    drawn = dom(summarise(large(2000)).html(), tmp_path)
    assert drawn.count('class="node"') == 150
    assert f"{len(large(2000).decisions):,} nodes, in the order of the file" in drawn


@pytest.mark.browser
def test_a_browser_draws_the_chip_in_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.report.html.MOST_TILES", 100)
    page = summarise(stack(3)).html()
    assert dom(page, tmp_path).count('class="tile"') == 0
    assert dom(page, tmp_path, "#chip-1").count('class="tile"') == 64
