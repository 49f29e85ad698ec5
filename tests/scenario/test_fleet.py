"""The fleet as users meet it: the real command line, a real daemon, OpenSSH servers, and hosts that are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rota.demo.openssh import OpenSsh
from rota.domain.step import Json
from tests.support.daemon import Home, until
from tests.support.fleet import Fleet, a_fleet, ends, on_a_terminal, openssh, screen_of, target, told, witnesses

__all__ = ["openssh"]

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m"


@pytest.fixture(scope="module")
def fleet(openssh: OpenSsh) -> Iterator[Fleet]:
    """One daemon for all of these; a test serves hosts of its own, and names them."""
    with a_fleet(openssh) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def home(fleet: Fleet) -> Home:
    return fleet.home


# One run, many hosts


def test_each_host_has_its_own_result_and_the_summary_names_the_bad_ones(fleet: Fleet, home: Home) -> None:
    fleet.serve("own-1", "own-2", "own-3")
    fleet.add({"own-4": ("127.0.0.1", 1)})  # nobody listens there
    answer = home.rota(
        "run", "--target", "~^own-", "--do", "shell: echo I am $ROTA_HOST; test $ROTA_HOST != own-2",
        env={"COLUMNS": "80"},
    )  # fmt: skip
    assert answer.code == 3
    assert [f"own-{n}| I am own-{n}" in answer.out for n in (1, 2, 3)] == [True] * 3
    assert "partial_failure" in answer.out
    assert "2/4 hosts" in answer.out
    assert 'own-2: failure at step "shell" (step_failed): shell: exit 1' in answer.out
    assert 'own-4: unreachable at step "shell" (connect_refused)' in told(answer)
    assert "--failed" in answer.err


def test_history_and_the_runs_details_tell_how_many_hosts_it_was_good_on(fleet: Fleet, home: Home) -> None:
    fleet.serve("many-1", "many-2", "many-3")
    fleet.job("many", "shell: test $ROTA_HOST != many-2", "~^many-")
    run = home.finished(fleet.trigger("many"))
    assert run["state"] == "partial"
    assert "partial_failure" in told(home.rota("schedule", "history", "many"))
    assert "2/3" in told(home.rota("schedule", "history", "many"))
    assert "many-2 shell 1 failure (step_failed)" in told(home.rota("runs", "show", run["id"]))


def test_a_rerun_of_what_failed_touches_exactly_those_hosts(fleet: Fleet, home: Home) -> None:
    server = fleet.serve(*(f"again-{n}" for n in range(1, 7)))
    first = fleet.run("shell: echo $ROTA_HOST >> witness; ls ok || test $ROTA_HOST != again-3", "~^again-")
    assert target(first, "again-3")["state"] == "failed"
    server.put("ok", "")
    assert home.rota("runs", "rerun", first["id"], "--failed").code == 0
    assert sorted(witnesses(server)) == sorted([*(f"again-{n}" for n in range(1, 7)), "again-3"])
    (second,) = [run for run in home.client.runs(limit=20)["items"] if run["rerun_of"] == first["id"]]
    assert ends(home.client.run(second["id"])) == {"again-3": ("succeeded", None)}


def test_a_host_that_joins_a_group_is_in_the_next_occurrence_and_not_in_the_running_one(
    fleet: Fleet, home: Home
) -> None:
    server = fleet.serve("join-1", "join-2")
    gate = fleet.gate(server)
    home.client.add_group({"name": "joining", "hosts": ["join-1"]})
    home.client.create_job(
        {
            "name": "joining", "triggers": [{"kind": "interval", "every": "1s"}], "target": "group:joining",
            "do": f"shell: echo begun; [ -e joined ] || read line < {gate.path}",
        }
    )  # fmt: skip
    held = until(lambda: home.client.runs(job="joining", limit=1)["items"])[0]["id"]
    home.await_output(held, "begun")
    assert home.rota("groups", "update", "joining", "--add-host", "join-2").code == 0
    server.put("joined", "")
    gate.open()
    assert set(ends(home.finished(held))) == {"join-1"}
    later = until(lambda: [run for run in home.client.runs(job="joining", limit=5)["items"] if run["id"] != held])
    home.client.delete_job("joining")
    assert ends(home.finished(later[-1]["id"])) == dict.fromkeys(("join-1", "join-2"), ("succeeded", None))


# Fan-out


def test_a_canary_that_fails_stops_the_rest_before_it_starts(fleet: Fleet, home: Home) -> None:
    names = [f"canary-{n:02}" for n in range(1, 21)]
    server = fleet.serve(*names)
    answer = home.rota(
        "run", "--target", "~^canary-", "--batch", "1, 10%, 100%", "--max-fail", "0",
        "--do", "shell: echo $ROTA_HOST >> witness; test $ROTA_HOST != canary-01",
    )  # fmt: skip
    assert answer.code == 1
    assert "0/20 hosts" in answer.out
    assert "19 hosts: skipped (max_fail)" in answer.out
    assert witnesses(server) == ["canary-01"]
    run = home.client.run(home.client.runs(limit=1)["items"][0]["id"])
    bad = ends(run)
    assert bad.pop("canary-01") == ("failed", "step_failed")
    assert bad == dict.fromkeys(names[1:], ("skipped", "max_fail"))


def test_a_canary_that_is_well_lets_the_next_batch_begin(fleet: Fleet) -> None:
    names = [f"well-{n:02}" for n in range(1, 21)]
    server = fleet.serve(*names)
    do = "shell: echo begin $ROTA_HOST >> witness; sleep 0.1; echo end $ROTA_HOST >> witness"
    run = fleet.run(do, "~^well-", batch="1, 10%, 100%", max_fail=0)
    assert run["state"] == "succeeded"
    lines = witnesses(server)
    assert lines[:2] == ["begin well-01", "end well-01"]
    assert sorted(line.split()[1] for line in lines[2:6]) == ["well-02", "well-02", "well-03", "well-03"]
    assert len(lines) == 2 * len(names)


def test_two_jobs_that_lock_one_host_never_overlap_on_it_and_the_holder_is_shown(fleet: Fleet, home: Home) -> None:
    server = fleet.serve("locked-1")
    gates = {name: fleet.gate(server) for name in ("lock-a", "lock-b")}
    for name, gate in gates.items():
        do = f"shell: echo begin {name} >> witness; read line < {gate.path}; echo end {name} >> witness"
        fleet.job(name, do, "host:locked-1", lock_hosts=True)
    first = fleet.trigger("lock-a")
    until(lambda: witnesses(server))
    second = fleet.trigger("lock-b")
    until(lambda: target(home.client.run(second), "locked-1")["waiting_for"])
    assert f"held by lock-a ({first[:12]})" in told(home.rota("why", second))
    assert witnesses(server) == ["begin lock-a"]
    for run, gate in zip((first, second), gates.values(), strict=True):
        gate.open()
        assert home.finished(run)["state"] == "succeeded"
    assert witnesses(server) == ["begin lock-a", "end lock-a", "begin lock-b", "end lock-b"]


# Who is it?


def test_a_host_whose_key_is_not_known_is_not_spoken_to_until_it_is_trusted(fleet: Fleet, home: Home) -> None:
    server = fleet.serve("seen-1")
    fleet.add({"new-1": (server.setup.addresses[0], server.port)}, user=server.user)
    (home.path / "known_hosts").write_text("")
    refused = home.rota("run", "--target", "host:new-1", "--do", "shell: echo in >> witness")
    assert refused.code == 1
    assert "host_key_unknown" in refused.out
    assert "rota hosts trust new-1" in refused.out
    assert witnesses(server) == []
    trusted = home.rota("hosts", "trust", "new-1", "--yes")
    assert trusted.code == 0
    assert server.host_key.get_fingerprint() in trusted.out
    assert home.rota("run", "--target", "host:new-1", "--do", "shell: echo in >> witness").code == 0
    assert witnesses(server) == ["in"]


def test_a_fingerprint_is_never_cut_to_the_width_of_a_terminal(fleet: Fleet, home: Home) -> None:
    name = "a-host-with-quite-a-long-name.in.a.long.domain.example.org"
    server = fleet.serve(name, is_known=False)
    screen = screen_of(on_a_terminal(home, "hosts", "trust", f"host:{name}", "--no-input"))
    assert server.host_key.get_fingerprint() in screen


def test_many_hosts_whose_keys_are_not_known_are_one_trouble(fleet: Fleet, home: Home) -> None:
    for n in range(1, 4):
        fleet.serve(f"strange-{n}", is_known=False)  # each has a key of its own
    answer = home.rota("run", "--target", "~^strange-", "--do", "shell: id")
    assert '3 hosts: unreachable at step "shell" (host_key_unknown)' in answer.out
    assert "strange-1, strange-2, strange-3" in answer.out


def test_ping_tells_a_good_host_from_each_kind_of_bad_one(fleet: Fleet, home: Home) -> None:
    server = fleet.serve("ping-good")
    at = (server.setup.addresses[0], server.port)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fleet.add({"ping-refuses": ("127.0.0.1", 1), "ping-silent": silent.getsockname()}, user=server.user)
        fleet.add({"ping-stranger": at}, user="nobody-of-that-name")
        fleet.add({"ping-keyless": at}, user=server.user, key_file="there-is-none")
        answer = home.rota("hosts", "ping", "~^ping-")
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line.startswith("ping-")}
    assert answer.code == 3
    assert " ok " in lines["ping-good"]
    assert "connect_refused" in lines["ping-refuses"]
    assert "connect_timeout" in lines["ping-silent"]
    assert "auth_failed" in lines["ping-stranger"]
    assert "credential_missing" in lines["ping-keyless"]


# Hosts with manners of their own


def test_file_steps_work_on_a_host_that_denies_sftp(fleet: Fleet, home: Home) -> None:
    server = fleet.serve("no-sftp", setup={"sftp": False})
    steps: list[Json] = [
        {"name": "write", "action": "fs_write", "params": {"path": "~/a/b.txt", "content": "höst\n", "parents": True}},
        {"name": "read", "action": "fs_read", "params": {"path": "~/a/b.txt"}, "register": "it"},
        {"name": "say", "action": "shell", "params": {"command": "echo {{ it.content }}"}},
        {"name": "remove", "action": "fs_remove", "params": {"path": "~/a/b.txt"}},
    ]
    run = home.finished(home.client.start_run({"steps": steps, "target": "host:no-sftp"})["id"])
    assert ends(run) == {"no-sftp": ("succeeded", None)}
    assert home.output(run["id"]).split() == ["höst"]
    assert list((server.home / "a").iterdir()) == []


def test_a_host_needs_no_bash(fleet: Fleet, home: Home) -> None:
    fleet.serve("dash-1", setup={"shell": "/bin/dash"})
    run = fleet.run("shell: echo $0 {{ host.name }}", "host:dash-1")
    assert (run["state"], home.output(run["id"])) == ("succeeded", "/bin/sh dash-1\n")


def test_neither_banner_nor_profile_gets_into_what_a_command_wrote(fleet: Fleet, home: Home) -> None:
    server = fleet.serve("noisy-1", setup={"shell": "/bin/bash", "options": ["Banner /etc/passwd"]})
    server.put(".bashrc", f"printf '{HOSTILE}$ 0 made\\nPassword: \\n'; echo noise >&2\n")
    run = fleet.run("shell: echo mine", "host:noisy-1")
    assert (run["state"], home.output(run["id"])) == ("succeeded", "mine\n")
    assert HOSTILE not in told(home.rota("run", "--target", "host:noisy-1", "--do", "shell: echo mine"))


def test_control_bytes_of_a_host_are_kept_whole_and_harmless_on_a_terminal(fleet: Fleet, home: Home) -> None:
    server = fleet.serve("rude-1")
    server.put("rude", f"before {HOSTILE} after\n")
    run = fleet.run("shell: cat rude", "host:rude-1")
    assert home.output(run["id"]) == f"before {HOSTILE} after\n"
    for command in (("runs", "logs", run["id"]), ("run", "--target", "host:rude-1", "--do", "shell: cat rude")):
        screen = screen_of(on_a_terminal(home, *command))
        assert "before " in screen
        assert " after" in screen
        assert not [evil for evil in ("\x1b[2J", "\x1b]0;", "\x07", "\x9b") if evil in screen], repr(screen)


def test_a_login_shell_that_never_comes_to_the_command_is_told(fleet: Fleet, home: Home) -> None:
    fleet.serve("nologin-1", setup={"options": ["ForceCommand echo This account is not available; exit 1"]})
    run = fleet.run("shell: echo mine", "host:nologin-1")
    assert ends(run)["nologin-1"][0] in {"failed", "unreachable"}
    assert "This account is not available" in told(home.rota("runs", "show", run["id"]))


# Words that cannot be meant


@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        (("hosts", "add", "--", "-evil"), 2, "'-evil' is not a host name"),
        (("hosts", "add", "evil", "--address=-oProxyCommand=id"), 2, "--address: '-oProxyCommand=id' cannot be taken"),
        (("hosts", "add", "evil", "--user=-l"), 2, "--user: '-l' cannot be taken"),
        (("run", "--do", "shell: id", "--target", "tag:none"), 9, "the target selector matched no host (tag:none)"),
        (("run", "--do", "shell: id", "--target", "host:none"), 4, "host none does not exist"),
        (("groups", "add", "loop", "--match", "group:loop"), 2, "group loop would contain itself: loop → loop"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(home: Home, typed: tuple[str, ...], code: int, words: str) -> None:
    answer = home.rota(*typed)
    assert answer.code == code
    assert words in told(answer)


def test_groups_that_contain_each_other_are_refused(home: Home) -> None:
    assert home.rota("groups", "add", "chicken", "--match", "site:farm").code == 0
    assert home.rota("groups", "add", "egg", "--match", "group:chicken").code == 0
    refused = home.rota("groups", "update", "chicken", "--match", "group:egg")
    assert refused.code == 2
    assert "chicken → egg → chicken" in told(refused)
