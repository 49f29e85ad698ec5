"""The benchmarks on PostgreSQL at a tiny size, from end to end: real server, real daemons."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness import Bench, Sample, run
from bench.nodes import nodes, nodes_kill


def sample_of(bench: Bench, contender: str, scratch: Path) -> Sample:
    """What one round of a contender gave."""
    (sample,) = run(bench, rounds=1, tell=lambda _: None, scratch=scratch).samples[contender]
    assert isinstance(sample, Sample), sample
    return sample


@pytest.mark.slow
def test_nodes_runs(tmp_path: Path) -> None:
    sample = sample_of(nodes("nodes-2", 2, 50, lead=3), "2 nodes", tmp_path)
    assert sample.figures["claims"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_of_two_nodes_the_one_that_is_left_starts_the_rest(tmp_path: Path) -> None:
    sample = sample_of(nodes_kill("nodes-kill", 300, lead=3), "2 nodes, 1 killed", tmp_path)
    assert int(sample.notes["succeeded"]) + int(sample.notes["unknown"]) == 300
