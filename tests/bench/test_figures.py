from __future__ import annotations

from tests.bench.figures import Row, spread, table


def test_a_figure_is_the_median_of_its_rounds_with_their_range():
    assert spread([1_200.0, 1_000.4, 5_000.0]) == "1,200 (1,000–5,000)"
    assert spread([0.5, 0.25]) == "0.38 (0.25–0.50)"
    assert spread([42.0]) == "42.0"
    assert spread([]) == ""


def test_a_section_is_named_once_above_its_rows():
    rows = [
        Row("Calls", "CPU per call", 32, "µs", [150.0], [20.0], "≤ 200"),
        Row("Calls", "CPU per call", 256, "µs", [140.0], [19.0]),
    ]
    lines = table(rows, nginx_absent="").splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]] == [
        ["**Calls**", "", "", "", "", ""],
        ["CPU per call", "32", "µs", "150", "20.0", "≤ 200"],
        ["CPU per call", "256", "µs", "140", "19.0", ""],
    ]
    assert len({len(line) for line in lines}) == 1


def test_without_nginx_only_the_rows_that_compare_say_so():
    rows = [
        Row("Calls", "CPU per call", 32, "µs", [150.0], compared=True),
        Row("Memory", "idle", None, "MiB", [90.0]),
    ]
    shown = table(rows, nginx_absent="not installed").splitlines()
    assert "not installed" in shown[3]
    assert "not installed" not in shown[5]


def test_the_data_holds_every_round():
    data = Row("Calls", "CPU per call", 32, "µs", [3.0, 1.0, 2.0]).as_data()
    assert data["wellspring"] == {"median": 2.0, "min": 1.0, "max": 3.0, "rounds": [3.0, 1.0, 2.0]}
    assert data["nginx"] is None
