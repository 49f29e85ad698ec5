"""Hosts, groups, sites: what is asked and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.canned import Canned, Json, Request, rota


def a_host(**changes: Json) -> Json:
    return {
        "id": "host_" + "1" * 16,
        "name": "web-1",
        "connector": "ssh",
        "address": None,
        "port": None,
        "user": None,
        "key_file": None,
        "passphrase_file": None,
        "password_file": None,
        "sudo_password_file": None,
        "jump": None,
        "os": "linux",
        "site": None,
        "tags": {"env": "prod", "edge": ""},
        "vars": {},
        "groups": ["web"],
        "disabled": False,
        "in_all": True,
        "version": 1,
        "updated_at": "2026-03-04T02:00:00Z",
        **changes,
    }


def a_group(**changes: Json) -> Json:
    return {"name": "web", "description": "", "selector": None, "hosts": ["a", "b"], **changes}


def page(*items: Json) -> tuple[int, Json]:
    return 200, {"items": [*items], "next": None}


def a_key(name: str, verdict: str = "unknown", *, shows: str = "SHA256:new", was: str = "") -> tuple[int, Json]:
    def key(fingerprint: str) -> Json:
        return {"algorithm": "ssh-ed25519", "fingerprint": fingerprint, "line": f"ssh-ed25519 {fingerprint}"}

    before = [key(was)] if was else []
    return 200, {"host": name, "shown": key(shows), "verdict": verdict, "before": before}


def a_ping(name: str, reason: str | None = None) -> tuple[int, Json]:
    message = "cannot log in" if reason else ""
    system = None if reason else "Linux"
    return 200, {
        "host": name, "ok": reason is None, "reason": reason, "message": message, "seconds": 0.1, "system": system,
    }  # fmt: skip


def test_hosts_are_listed_with_groups_and_tags(daemon: Canned) -> None:
    daemon.on("GET", "/hosts", page(a_host()))
    row = daemon.rota("hosts", "list").stdout.splitlines()[2]
    assert row.split() == ["web-1", "ssh", "-", "linux", "web", "edge,env=prod", "enabled"]


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"address": "10.0.0.1", "port": 2222, "user": "deploy"}, "deploy@10.0.0.1:2222"),
        ({"address": "fe80::1", "port": 2222}, "[fe80::1]:2222"),
        ({"port": 2222}, "web-1:2222"),
        ({"user": "deploy"}, "deploy@web-1"),
        ({"address": "10.0.0.1"}, "10.0.0.1"),
    ],
)
def test_an_address_is_shown_as_one_would_type_it(daemon: Canned, facts: Json, shown: str) -> None:
    daemon.on("GET", "/hosts/web-1", (200, a_host(**facts)))
    assert f"Address:   {shown}\n" in daemon.rota("hosts", "show", "web-1").stdout


def test_show_says_which_version_it_is_and_since_when(daemon: Canned) -> None:
    daemon.on("GET", "/hosts/web-1", (200, a_host(version=3, jump="bastion", key_file="id_web")))
    shown = daemon.rota("hosts", "show", "web-1").stdout
    assert "Version:   3, saved 2026-03-04 02:00:00 UTC\n" in shown
    assert "Key File:  id_web\nJump:      bastion\n" in shown


def test_a_host_that_all_does_not_mean_is_marked(daemon: Canned) -> None:
    daemon.on("GET", "/hosts", page(a_host(name="local", in_all=False), a_host(disabled=True, in_all=False)))
    local, web = daemon.rota("hosts", "list").stdout.splitlines()[2:]
    assert local.endswith("  enabled, not in all")
    assert web.endswith("  disabled")


def test_every_option_of_a_host_is_sent_as_its_field(daemon: Canned) -> None:
    daemon.on("GET", "/hosts/local", (200, a_host(in_all=False)))
    daemon.on("POST", "/hosts", (201, a_host(warnings=["key_file k is not there yet"])))
    where = "--address [fe80::1]:2222 --user deploy --jump bastion --site hq --os linux"
    files = "--key-file k --passphrase-file p --password-file w --sudo-password-file s"
    what = "--tag env=prod --tag edge --var role=front --group web --disabled"
    done = daemon.rota("hosts", "add", "web-1", *f"{where} {files} {what}".split())
    assert daemon.asked("POST", "/hosts").body == {
        "name": "web-1", "address": "fe80::1", "port": 2222, "user": "deploy", "os": "linux", "site": "hq",
        "tags": {"env": "prod", "edge": ""}, "vars": {"role": "front"}, "key_file": "k", "passphrase_file": "p",
        "password_file": "w", "sudo_password_file": "s", "jump": "bastion", "groups": ["web"], "disabled": True,
    }  # fmt: skip
    assert done.stdout == 'Host "web-1" added (ID: host_11111111)\n'
    assert done.stderr == (
        "Warning: key_file k is not there yet\nNext, to see and trust its key: rota hosts trust host:web-1\n"
    )


@pytest.mark.parametrize(
    ("typed", "address", "port"),
    [("10.0.0.1", "10.0.0.1", None), ("web.example:22", "web.example", 22), ("fe80::1", "fe80::1", None)],
)
def test_a_port_may_stand_behind_the_address(daemon: Canned, typed: str, address: str, port: int | None) -> None:
    daemon.on("GET", "/hosts/local", (200, a_host(in_all=False)))
    daemon.on("POST", "/hosts", (201, a_host()))
    daemon.rota("hosts", "add", "web-1", "--address", typed)
    body = daemon.asked("POST", "/hosts").body
    assert (body["address"], body.get("port")) == (address, port)


def test_faults_of_options_and_of_the_server_are_told_together_as_they_were_typed(home: Path) -> None:
    done = rota("hosts", "add", "--port", "x", "--tag", "a b=c", "--jump", "nosuch", "--", "-x", home=home)
    assert done.returncode == 2
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines()[1:5]] == [
        "--port", "NAME", "--tag a b", "--jump",
    ]  # fmt: skip
    assert not (home / "rota.db").exists()


def test_a_host_is_updated_tag_by_tag(daemon: Canned) -> None:
    daemon.on("GET", "/hosts/web-1", (200, a_host()))
    daemon.on("PATCH", "/hosts/web-1", (200, a_host(version=2)))
    done = daemon.rota("hosts", "update", "web-1", "--tag", "rack=b7", "--untag", "edge", "--user", "", "--enabled")
    assert daemon.asked("PATCH", "/hosts/web-1").body == {
        "tags": {"rack": "b7", "edge": None}, "user": None, "disabled": False,
    }  # fmt: skip
    assert done.stdout == 'Host "web-1" updated\n'


def test_an_update_that_changes_nothing_says_so(daemon: Canned) -> None:
    daemon.on("GET", "/hosts/web-1", (200, a_host()))
    daemon.on("PATCH", "/hosts/web-1", (200, a_host(warnings=[])))
    assert "nothing changed" in daemon.rota("hosts", "update", "web-1", "--os", "linux").stdout


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        ("hosts add web-1", "POST", "/hosts"),
        ("hosts update web-1 --user x", "PATCH", "/hosts/web-1"),
        ("hosts remove web-1", "DELETE", "/hosts/web-1"),
        ("groups add web", "POST", "/groups"),
        ("groups update web --add-host a", "PATCH", "/groups/web"),
        ("groups remove web", "DELETE", "/groups/web"),
    ],
)
def test_a_dry_run_is_judged_by_the_server(daemon: Canned, words: str, method: str, path: str) -> None:
    daemon.on("GET", "/hosts/local", (200, a_host()))
    daemon.on("GET", "/hosts/web-1", (200, a_host()))
    daemon.on(method, path, (200, a_group() if "groups" in path else a_host(version=2)))
    done = daemon.rota(*words.split(), "--dry-run")
    assert daemon.asked(method, path).query == {"dry_run": "true"}
    assert "would be" in done.stdout


@pytest.mark.parametrize(("noun", "name"), [("hosts", "web-1"), ("groups", "web")])
def test_what_is_removed_is_asked_about_first(daemon: Canned, noun: str, name: str) -> None:
    daemon.on("GET", "/hosts/web-1", (200, a_host()))
    daemon.on("DELETE", f"/{noun}/{name}", (200, {"deleted": name}))

    def removed() -> list[Request]:
        return [each for each in daemon.requests if each.method == "DELETE" and not each.query]

    assert daemon.rota(noun, "remove", name).returncode == 7
    assert not removed()
    assert daemon.rota(noun, "remove", name, "--yes").returncode == 0
    assert len(removed()) == 1


def test_the_first_host_is_told_of_with_what_it_changes(home: Path) -> None:
    first = rota("hosts", "add", "web-1", home=home)
    assert 'Host "web-1" added' in first.stdout
    assert "host:local" in first.stderr
    assert "host:local" not in rota("hosts", "add", "web-2", home=home).stderr


def test_a_selector_is_sent_as_it_was_typed(daemon: Canned) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": ["web-1", "web-2"]}))
    done = daemon.rota("hosts", "match", "group:web & !tag:env=prod")
    assert daemon.asked("GET", "/hosts:match").query == {"selector": "group:web & !tag:env=prod"}
    assert done.stdout == "web-1\nweb-2\n"


def test_a_selector_may_come_from_a_file_and_from_standard_input(daemon: Canned, home: Path) -> None:
    (home / "hosts.txt").write_text("web-1  # the first\ngroup:db\n")
    daemon.on("GET", "/hosts:match", (200, {"items": ["web-1"]}))
    daemon.rota("hosts", "match", f"@{home}/hosts.txt")
    assert daemon.asked("GET", "/hosts:match").query == {"selector": "host:web-1,group:db"}
    daemon.rota("hosts", "match", "-", stdin="web-9\n")
    assert daemon.asked("GET", "/hosts:match").query == {"selector": "host:web-9"}
    assert daemon.rota("hosts", "match", "@/no/such").returncode == 2


def test_a_selector_too_long_for_a_path_goes_in_the_body(daemon: Canned) -> None:
    daemon.on("POST", "/hosts:match", (200, {"items": ["h1"]}))
    daemon.rota("hosts", "match", "-", stdin="\n".join(f"host-{number:04}" for number in range(1000)))
    assert daemon.asked("POST", "/hosts:match").body["selector"].startswith("host:host-0000,host:host-0001,")


def test_a_selector_that_picks_nothing_says_what_there_is(daemon: Canned) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": []}))
    daemon.on("GET", "/hosts", page(a_host(site="hq"), a_host(name="db-1", disabled=True, tags={})))
    daemon.on("GET", "/groups", page(a_group()))
    done = daemon.rota("hosts", "match", "tag:env=prd")
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        '"tag:env=prd" picks no host.',
        "  there are 2 hosts: web-1, db-1",
        "  1 of them disabled, which no selector picks",
        "  groups: web",
        "  tags: edge, env=prod",
        "  sites: hq",
    ]
    assert daemon.rota("hosts", "ping", "tag:env=prd").returncode == 4


def test_a_ping_tells_of_each_host_and_counts(daemon: Canned) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": ["a", "b", "c"]}))
    daemon.on("POST", "/hosts/a:ping", a_ping("a"))
    daemon.on("POST", "/hosts/b:ping", a_ping("b", "auth_failed"))
    daemon.on("POST", "/hosts/c:ping", (503, {"code": "unavailable", "message": "no way there"}))
    done = daemon.rota("hosts", "ping", "all")
    assert [" ".join(line.split()) for line in done.stdout.splitlines()[2:]] == [
        "a ok Linux 0.1s -", "b auth_failed - - cannot log in", "c unavailable - - no way there",
    ]  # fmt: skip
    assert (done.stderr.splitlines(), done.returncode) == (["1/3 hosts answer"], 3)


def test_the_bare_name_of_a_host_will_do_where_nothing_is_run(daemon: Canned) -> None:
    daemon.on("GET", "/hosts/a-1", (200, a_host(name="a-1")))
    daemon.on("POST", "/hosts/a-1:ping", a_ping("a-1"))
    assert daemon.rota("hosts", "ping", "a-1").returncode == 0


@pytest.mark.parametrize(("reason", "code"), [(None, 0), ("connect_refused", 6)])
def test_the_exit_code_of_a_ping_is_that_of_its_hosts(daemon: Canned, reason: str | None, code: int) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": ["a"]}))
    daemon.on("POST", "/hosts/a:ping", a_ping("a", reason))
    done = daemon.rota("hosts", "ping", "host:a", "-o", "jsonl")
    assert (json.loads(done.stdout)["reason"], done.returncode, done.stderr) == (reason, code, "")


def test_a_key_is_shown_before_it_is_trusted(daemon: Canned) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": ["a"]}))
    daemon.on("GET", "/hosts/a/key", a_key("a"))
    daemon.on("POST", "/hosts/a:trust", a_key("a"))
    asked = daemon.rota("hosts", "trust", "host:a")
    assert "SHA256:new" in asked.stdout
    assert "add --yes" in asked.stderr
    assert asked.returncode == 7
    assert daemon.rota("hosts", "trust", "host:a", "--yes").returncode == 0
    assert daemon.asked("POST", "/hosts/a:trust").body == {"fingerprint": "SHA256:new"}


def test_a_key_that_changed_is_shown_with_the_old_one_and_replaced_only_by_order(daemon: Canned) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": ["a", "b"]}))
    daemon.on("GET", "/hosts/a/key", a_key("a", "known"))
    daemon.on("GET", "/hosts/b/key", a_key("b", "changed", was="SHA256:old"))
    daemon.on("POST", "/hosts/b:trust", a_key("b", "changed", was="SHA256:old"))
    refused = daemon.rota("hosts", "trust", "all", "--yes")
    assert "CHANGED, was SHA256:old; to replace it add --replace" in refused.stdout
    assert refused.returncode == 3
    assert daemon.rota("hosts", "trust", "all", "--yes", "--replace").returncode == 0
    assert daemon.asked("POST", "/hosts/b:trust").body == {"fingerprint": "SHA256:new", "replace": True}


def test_a_fingerprint_that_is_given_is_the_answer(daemon: Canned) -> None:
    daemon.on("GET", "/hosts:match", (200, {"items": ["a"]}))
    daemon.on("GET", "/hosts/a/key", a_key("a"))
    daemon.on("POST", "/hosts/a:trust", a_key("a"))
    other = daemon.rota("hosts", "trust", "host:a", "--fingerprint", "SHA256:other")
    assert "not SHA256:other" in other.stdout
    assert other.returncode == 5
    assert daemon.rota("hosts", "trust", "host:a", "--fingerprint", "SHA256:new").returncode == 0


def test_keys_may_be_compared_with_a_file_of_known_hosts(daemon: Canned, home: Path) -> None:
    (home / "known").write_text("10.0.0.1 ssh-ed25519 SHA256:new\n10.0.0.2 ssh-ed25519 another\n")
    hosts = [a_host(name=name, address=address) for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"))]
    daemon.on("GET", "/hosts:match", (200, {"items": ["a", "b", "c"]}))
    daemon.on("GET", "/hosts", page(*hosts, a_host(name="c")))
    for name in "abc":
        daemon.on("GET", f"/hosts/{name}/key", a_key(name))
    daemon.on("POST", "/hosts/a:trust", a_key("a"))
    done = daemon.rota("hosts", "trust", "all", "--known-hosts", str(home / "known"))
    assert done.stdout.splitlines()[-3:] == [
        "a: trusted now", f"b: another key than in {home}/known", f"c: not in {home}/known",
    ]  # fmt: skip
    assert done.returncode == 3


def test_an_import_says_what_became_of_everything_and_what_was_left_out(daemon: Canned, home: Path) -> None:
    (home / "config").write_text("Host a\n  HostName 10.0.0.1\n  ForwardX11 yes\n")
    told = {
        "hosts_added": ["a"], "hosts_updated": ["b"], "hosts_unchanged": ["c", "d"], "groups_added": ["web"],
        "groups_updated": [], "warnings": ["key_file k is not there yet"],
    }  # fmt: skip
    daemon.on("POST", "/hosts:import", (200, told))
    done = daemon.rota("hosts", "import", str(home / "config"), "--group", "web", "--update")
    assert daemon.asked("POST", "/hosts:import").body == {
        "hosts": [{"name": "a", "connector": "ssh", "address": "10.0.0.1"}],
        "groups": [{"name": "web", "hosts": ["a"]}],
        "update": True,
    }
    assert done.stdout == "1 host added: a\n1 host updated: b\n2 hosts unchanged\n1 group added: web\n"
    assert "Not taken: ForwardX11 (line 3)\n" in done.stderr
    assert "Warning: key_file k is not there yet\n" in done.stderr


def test_all_faults_of_an_import_are_told_at_once_with_their_lines(home: Path) -> None:
    (home / "hosts.csv").write_text("name,port,tags,colour\na-1,22,env=prod,\n-rf,x,,\na-1,70000,,\n")
    done = rota("hosts", "import", str(home / "hosts.csv"), "--dry-run", home=home / "instance")
    assert done.returncode == 2
    assert [line.strip().partition(" (expected")[0] for line in done.stderr.splitlines() if line.startswith("  ")] == [
        "line 1: the column 'colour' is not known",
        "line 3 -rf port: 'x' is not a port",
        "line 4 a-1: host a-1 is given twice, also as line 2",
        "line 3 -rf: '-rf' is not a host name",
    ]


def test_an_import_follows_what_an_ssh_configuration_includes(daemon: Canned, home: Path) -> None:
    (home / "config").write_text("Include config.d/*\n")
    (home / "config.d").mkdir()
    (home / "config.d" / "work").write_text("Host a\n")
    nothing: Json = {f"{noun}_{verb}": [] for noun in ("hosts", "groups") for verb in ("added", "updated", "unchanged")}
    daemon.on("POST", "/hosts:import", (200, {**nothing, "warnings": []}))
    daemon.rota("hosts", "import", str(home / "config"))
    assert daemon.asked("POST", "/hosts:import").body["hosts"] == [{"name": "a", "connector": "ssh"}]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [("none", None, "cannot read"), ("h.csv", b"\xff\xfe", "is not text"), ("h", b"???", "--format")],
)
def test_a_file_that_is_no_inventory_is_refused_before_anything_is_sent(
    daemon: Canned, home: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (home / name).write_bytes(content)
    done = daemon.rota("hosts", "import", str(home / name))
    assert (done.returncode, told in done.stderr, daemon.requests) == (2, True, [])


def test_what_is_listed_can_be_imported_elsewhere(home: Path) -> None:
    one, other = home / "one", home / "other"
    rota("groups", "add", "web", home=one)
    rota("hosts", "add", "web-1", "--address", "10.0.0.1:2222", "--tag", "v=1.10", "--group", "web", home=one)
    listed = rota("hosts", "list", "-o", "yaml", home=one).stdout
    done = rota("hosts", "import", "-", "--format", "yaml", home=other, stdin=listed)
    assert done.stdout == "1 host added: web-1\n1 group added: web\n"

    def facts(instance: Path) -> Json:
        host = json.loads(rota("hosts", "show", "web-1", "-o", "json", home=instance).stdout)
        return {key: value for key, value in host.items() if key not in ("id", "updated_at")}

    assert facts(one) == facts(other)


def test_a_group_is_made_with_its_hosts(daemon: Canned) -> None:
    daemon.on("POST", "/groups", (201, a_group()))
    daemon.rota("groups", "add", "web", "--host", "a", "--host", "b", "--description", "The web")
    assert daemon.asked("POST", "/groups").body == {"name": "web", "hosts": ["a", "b"], "description": "The web"}


def test_a_dynamic_group_is_made_of_a_selector(daemon: Canned) -> None:
    daemon.on("POST", "/groups", (201, a_group(selector="tag:env=prod", hosts=[])))
    done = daemon.rota("groups", "add", "prod", "--match", "tag:env=prod")
    assert daemon.asked("POST", "/groups").body == {"name": "prod", "selector": "tag:env=prod"}
    assert done.stderr == "No host is in it now.\n"


def test_hosts_join_and_leave_a_group(daemon: Canned) -> None:
    daemon.on("PATCH", "/groups/web", (200, a_group()))
    done = daemon.rota("groups", "update", "web", "--add-host", "b", "--remove-host", "c")
    assert daemon.asked("PATCH", "/groups/web").body == {"add_hosts": ["b"], "remove_hosts": ["c"]}
    assert done.stdout == 'Group "web" updated: 2 hosts in it\n'


def test_groups_are_listed_with_their_selectors(daemon: Canned) -> None:
    daemon.on("GET", "/groups", page(a_group(), a_group(name="prod", selector="tag:env=prod", hosts=[])))
    rows = [line.split() for line in daemon.rota("groups", "list").stdout.splitlines()[2:]]
    assert rows == [["web", "-", "2", "a,", "b"], ["prod", "tag:env=prod", "0", "-"]]


def test_sites_are_listed_with_their_hosts(daemon: Canned) -> None:
    daemon.on("GET", "/sites", page({"name": "hq", "hosts": ["a", "b"]}))
    assert daemon.rota("sites", "list").stdout.splitlines()[2].split() == ["hq", "2", "a,", "b"]
    daemon.on("GET", "/sites", page())
    assert "No host is at a site yet" in daemon.rota("sites", "list").stderr
