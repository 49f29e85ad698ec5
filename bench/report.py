"""What was measured, as text for a terminal, as JSON to keep, and as the table of docs/benchmarks.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, cast

from bench.harness import Compared, Outcome, Sample, median
from bench.machine import ROOT, Machine

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- results: written by `python -m bench --write-docs` -->"
END = "<!-- end of results -->"

Load = tuple[float, float, float]


class KeptFigure(TypedDict):
    figure: str
    unit: str
    ours: str
    theirs: str | None
    median_ours: float | None
    median_theirs: float | None
    ratio: float | None
    goal: str | None
    met: bool | None


class Kept(TypedDict):
    """One benchmark's outcome as its file in bench/results/ holds it."""

    name: str
    what: str
    command: str
    short: bool
    at: str
    rounds: int
    raised: dict[str, str]
    warm_up: str
    machine: dict[str, object]
    load: dict[str, Load]
    figures: list[KeptFigure]
    samples: dict[str, list[object]]


def lines(outcome: Outcome) -> list[str]:
    """Both raw series, medians and ratios of an outcome."""
    shown = []
    for compared in outcome.compared():
        figure = compared.figure
        shown.append(f"{outcome.bench.name}: {figure.name} ({figure.unit})")
        shown.append(_series(figure.ours, compared.ours))
        if figure.theirs is not None:
            shown.append(_series(figure.theirs, compared.theirs))
            shown.append(_series("ratio", compared.ratios))
        if figure.resolution:
            shown.append(f"  compared at a resolution of {figure.resolution:g} {figure.unit}")
        if figure.goal is not None:
            shown.append(f"  goal: {figure.goal}: {'met' if compared.met else 'NOT MET'}")
    return shown


def _series(label: str, values: Sequence[float | None]) -> str:
    return f"  {label:<22} {'  '.join(map(_short, values))}   median {_short(median(values))}"


def _short(value: float | None) -> str:
    if value is None:
        return "failed"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def kept(outcome: Outcome, *, command: str, short: bool, machine: Machine, load: dict[str, Load], at: datetime) -> Kept:
    return {
        "name": outcome.bench.name,
        "what": outcome.bench.what,
        "command": command,
        "short": short,
        "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rounds": outcome.rounds,
        "raised": dict(outcome.bench.raised),
        "warm_up": outcome.bench.warm_up,
        "machine": asdict(machine),
        "load": load,
        "figures": [_figure(compared) for compared in outcome.compared()],
        "samples": {name: [_sample(sample) for sample in samples] for name, samples in outcome.samples.items()},
    }


def _figure(compared: Compared) -> KeptFigure:
    figure = compared.figure
    return {
        "figure": figure.name,
        "unit": figure.unit,
        "ours": figure.ours,
        "theirs": figure.theirs,
        "median_ours": median(compared.ours),
        "median_theirs": median(compared.theirs),
        "ratio": compared.ratio,
        "goal": None if figure.goal is None else str(figure.goal),
        "met": compared.met,
    }


def _sample(sample: Sample | str) -> object:
    return {"failed": sample} if isinstance(sample, str) else {**sample.figures, "notes": dict(sample.notes)}


def write(file: Path, results: Sequence[Kept]) -> None:
    """Keep results: one benchmark is one object, several are a list."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = results[0] if len(results) == 1 else list(results)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def file_for(result: Kept) -> Path:
    """Where a result belongs that is to be kept: bench/results/NAME-DATE.json."""
    return RESULTS / f"{result['name']}-{result['at'][:10]}.json"


def read_newest(folder: Path) -> list[Kept]:
    """The newest result of each benchmark in `folder`, by name."""
    newest: dict[str, Kept] = {}
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text())
        for result in cast("list[Kept]", content if isinstance(content, list) else [content]):
            if result["name"] not in newest or newest[result["name"]]["at"] <= result["at"]:
                newest[result["name"]] = result
    return [newest[name] for name in sorted(newest)]


def table(results: Iterable[Kept]) -> str:
    """The results as a Markdown table: a row for each figure, with the command and the commit that gave it."""
    rows = [
        "| benchmark | figure | Rota | peer | ratio | goal | rounds | commit, date |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        origin = f"`{result['machine']['commit']}` {result['at'][:10]}"
        for figure in result["figures"]:
            peer = "" if figure["theirs"] is None else f"{figure['theirs']}: {_short(figure['median_theirs'])}"
            goal = "" if figure["goal"] is None else f"{figure['goal']}: {'met' if figure['met'] else '**not met**'}"
            ratio = "" if figure["ratio"] is None else f"{figure['ratio']:.3g}"
            cells = (
                f"`{result['name']}`", f"{figure['figure']} ({figure['unit']})",
                f"{figure['ours']}: {_short(figure['median_ours'])}", peer, ratio, goal, str(result["rounds"]), origin,
            )  # fmt: skip
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def write_page(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Put the table of the newest kept results between the page's two marks."""
    before, mark, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{page} lacks the line {BEGIN!r} or {END!r}")
    page.write_text(f"{before}{BEGIN}\n\n{table(read_newest(results))}\n\n{END}{after}")
