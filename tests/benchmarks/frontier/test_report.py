import pytest

from benchmarks.frontier import __main__ as frontier
from benchmarks.frontier import pictures as frontier_pictures
from benchmarks.frontier import records
from benchmarks.frontier import report as frontier_report
from tests.benchmarks.frontier.made import exports, latency, trained

DOCS = records.FILE.parents[2] / "docs/frontier.md"


@pytest.fixture
def file(tmp_path):
    """A record of `edge` with two seeds."""
    file = tmp_path / "r.json"
    for seed, accuracy in enumerate((0.99, 0.992)):
        records.add_run(trained("edge", seed, accuracy), exports(accuracy), file)
    return file


def test_the_tables_are_printed_from_the_record_alone(file, capsys):
    records.set_latency(latency("edge"), file)
    records.add_run(trained("classic", 0, 0.99), {}, file)
    assert frontier.main(["--table", "--record", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "99.10 % ± 0.14 (2 seeds)" in printed
    assert "`classic`'s float32 file in the same runtime (10.0 µs in LiteRT" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("| D ")]
    assert [cell.strip() for cell in line.split("|")][3:5] == ["98.91 %", "99.00 % (1 seed)"]


def test_the_table_tells_what_is_missing_by_a_dash(file):
    record = records.load(file)
    assert frontier_report.frontier_table(record).splitlines()[-1].count("–") == 3
    assert frontier_report.caption(record) == ""


def test_the_docs_hold_the_tables_of_the_record():
    docs = DOCS.read_text()
    blocks = frontier_report.all_tables(records.load()).split("\n\n")
    assert len(blocks) == 3
    assert [block for block in blocks if block not in docs] == []


@pytest.mark.parametrize("timed", [True, False])
def test_the_pictures_are_drawn_of_what_there_is(file, tmp_path, timed):
    files = {frontier_pictures.BYTES}
    if timed:
        records.set_latency(latency("edge"), file)
        files.add(frontier_pictures.LATENCY)
    frontier_pictures.write(records.load(file), tmp_path / "docs")
    assert {path.name for path in (tmp_path / "docs").iterdir()} == files


def test_bytes_are_a_bound_where_no_size_is_published(file):
    points = frontier_pictures._by_size(records.load(file))
    kinds = {point.name.split("\n")[0]: (point.kind, point.x) for point in points}
    assert kinds["edge"] == ("int8", 20.0)
    assert kinds["BitNetMCU"] == ("size", 11.0)
    assert kinds["JoshWarn"] == ("least", 0.697)


def test_each_timed_network_is_drawn_in_both_precisions(file):
    records.set_latency(latency("edge"), file)
    points = frontier_pictures._by_latency(records.load(file))
    assert [point.kind for point in points] == ["int8", "float32", "timed", "if int8"]
