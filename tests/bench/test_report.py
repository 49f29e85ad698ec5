"""What is shown and kept of an outcome."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import report
from bench.__main__ import main
from bench.harness import Bench, Figure, Goal, Outcome, Sample
from bench.machine import Machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_outcome(name: str = "herd-1k", last: float = 0.01) -> Outcome:
    bench = Bench(
        name=name,
        what="late starts",
        prepare=lambda _scratch, _stack: {},
        figures=[Figure("last start", "s", "Rota", "peer", Goal("at most", 0.03))],
        raised={"cap": "1100"},
    )
    return Outcome(
        bench, 2, {"Rota": [Sample({"last start": last})] * 2, "peer": [Sample({"last start": 1.0}), "died"]}
    )


def kept(outcome: Outcome, at: datetime = NOON) -> report.Kept:
    machine = Machine.look(Path("/"))
    averages = {"start": (0.0, 0.0, 0.0), "end": (0.0, 0.0, 0.0)}
    return report.kept(outcome, command="python -m bench x", short=False, machine=machine, load=averages, at=at)


def test_both_raw_series_the_medians_and_the_ratio_are_printed() -> None:
    printed = "\n".join(report.lines(an_outcome()))
    assert "Rota                   0.01  0.01   median 0.01" in printed
    assert "peer                   1  failed   median 1" in printed
    assert "ratio                  0.01  failed   median 0.01" in printed
    assert "goal: at most 0.03: met" in printed


def test_what_is_kept_has_its_command_commit_machine_and_every_sample() -> None:
    result = json.loads(json.dumps(kept(an_outcome())))
    assert result["command"] == "python -m bench x"
    assert result["machine"]["commit"]
    assert result["machine"]["cores"] >= 1
    assert result["samples"]["peer"] == [{"last start": 1.0, "notes": {}}, {"failed": "died"}]
    assert result["figures"][0]["ratio"] == 0.01


def test_the_page_gets_the_newest_result_of_each_benchmark(tmp_path: Path) -> None:
    results, page = tmp_path / "results", tmp_path / "page.md"
    later = NOON.replace(day=2)
    for outcome, at in ((an_outcome(last=0.5), NOON), (an_outcome(last=0.02), later), (an_outcome("idle"), NOON)):
        result = kept(outcome, at)
        report.write(results / report.file_for(result).name, [result])
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_page(page, results)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "old" not in text
    assert "Rota: 0.02" in text and "Rota: 0.5" not in text
    assert text.count("\n| `") == 2


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="lacks the line"):
        report.write_page(page, tmp_path)


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["herd-2k"])
    assert "no benchmark is called herd-2k; there are eval" in capsys.readouterr().err
