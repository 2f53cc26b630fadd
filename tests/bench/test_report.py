"""Tables and the document they are written into."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import NAMES, main
from bench.report import DOCUMENT, Table, quantile, ratio, shown, write


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0123, "0.012"), (0.0, "0.0"), (7.25, "7.2"), (99.96, "100.0"), (123.4, "123"), (12_345, "12,345")],
)
def test_figures_as_people_read_them(value: float | None, text: str) -> None:
    assert shown(value) == text


def test_a_ratio_is_ours_over_theirs() -> None:
    assert ratio(5.0, 10.0) == "0.50×"
    assert ratio(100.0, 5.0) == "20×"
    assert ratio(1.0, 0.0) is None
    assert ratio(None, 1.0) is None


def test_quantiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert quantile(values, 0.5) == 51.0
    assert quantile(values, 0.99) == 100.0
    assert quantile(values, 1.0) == 100.0
    with pytest.raises(ValueError, match="was none"):
        quantile([], 0.5)


def test_a_table_replaces_what_stands_between_its_markers_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n<!-- bench:y -->\n<!-- /bench:y -->\n")
    write(Table("x", ("name", "ms"), (("ours", 1.5),), ("a note",)), "the machine", document)
    written = "a\n<!-- bench:x -->\nthe machine\n\n| name | ms |\n| --- | --- |\n| ours | 1.5 |\n\n- a note\n"
    assert document.read_text() == written + "<!-- /bench:x -->\nb\n<!-- bench:y -->\n<!-- /bench:y -->\n"


def test_a_document_without_the_markers_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("nothing")
    with pytest.raises(ValueError, match="one pair of markers for x"):
        write(Table("x", ("a",), ()), "", document)


@pytest.mark.parametrize("name", NAMES)
def test_the_document_has_a_place_for_every_benchmark(name: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count(f"<!-- bench:{name} -->\n") == 1
    assert text.count(f"<!-- /bench:{name} -->\n") == 1


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sokets"])
    assert f"expected {', '.join(NAMES)}, was sokets" in capsys.readouterr().err
