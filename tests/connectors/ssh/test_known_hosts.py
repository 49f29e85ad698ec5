"""The known_hosts file: what it says of a host, and how trust is written."""

from __future__ import annotations

import asyncio
import base64
import os
import stat
import subprocess
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.connectors.ssh.known_hosts import Known, KnownHosts, known_as
from rota.demo.openssh import OpenSsh
from rota.domain.errors import Refused, Unavailable


def a_key(kind: str = "ssh-ed25519") -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(kind).convert_to_public()


ONE, OTHER, THIRD = a_key(), a_key(), a_key()
KEYS = {kind: a_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256")}


def line(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def knowing(file: Path, *lines: str) -> KnownHosts:
    file.write_text("".join(f"{one}\n" for one in lines))
    return KnownHosts(file)


# Reading


def test_without_a_file_nobody_is_known(file: Path) -> None:
    assert KnownHosts(file).of("web1", 22) == Known()


def test_a_key_is_known_unknown_or_changed(file: Path) -> None:
    known = knowing(file, f"web1 {line(ONE)}")
    assert known.of("web1", 22).verdict(ONE) == "known"
    assert known.of("web1", 22).verdict(OTHER) == "changed"
    assert known.of("web2", 22).verdict(ONE) == "unknown"


def test_one_of_several_keys_is_enough(file: Path) -> None:
    known = knowing(file, f"web1 {line(ONE)}", f"web1 {line(OTHER)}").of("web1", 22)
    assert (known.verdict(ONE), known.verdict(OTHER), known.verdict(THIRD)) == ("known", "known", "changed")


def test_names_are_compared_without_case(file: Path) -> None:
    assert knowing(file, f"Web1.Example.ORG {line(ONE)}").of("WEB1.example.org", 22).keys == (ONE,)


def test_a_line_may_have_several_names(file: Path) -> None:
    known = knowing(file, f"web1,10.0.0.5,[web1]:2222 {line(ONE)}")
    assert known.of("10.0.0.5", 22).keys == known.of("web1", 2222).keys == (ONE,)


def test_another_port_has_a_name_of_its_own(file: Path) -> None:
    known = knowing(file, f"[10.0.0.5]:2222 {line(ONE)}", f"[::1]:2222 {line(OTHER)}")
    assert known.of("10.0.0.5", 2222).verdict(ONE) == "known"
    assert known.of("10.0.0.5", 22).verdict(ONE) == "unknown"
    assert known.of("::1", 2222).verdict(OTHER) == "known"


def test_a_key_without_a_port_is_good_at_every_port_but_no_change_where_another_is_shown(file: Path) -> None:
    known = knowing(file, f"web1 {line(ONE)}").of("web1", 2222)
    assert known.verdict(ONE) == "known"
    assert known.verdict(OTHER) == "unknown"


def test_patterns_are_those_of_ssh(file: Path) -> None:
    known = knowing(file, f"*.example.org,!bad.example.org {line(ONE)}", f"[10.0.0.?]:22* {line(OTHER)}")
    assert known.of("web1.example.org", 22).keys == (ONE,)
    assert known.of("bad.example.org", 22).keys == ()
    assert known.of("10.0.0.7", 2222).keys == (OTHER,)
    assert known.of("10.0.0.77", 2222).keys == ()


def test_an_authority_is_no_key(file: Path) -> None:
    known = knowing(file, f"@cert-authority *.example.org {line(ONE)}").of("web1.example.org", 22)
    assert (known.keys, known.authorities) == ((), (ONE,))


def test_a_revoked_key_is_revoked_though_it_is_known(file: Path) -> None:
    known = knowing(file, f"web1 {line(ONE)}", f"@revoked * {line(ONE)}").of("web1", 22)
    assert known.verdict(ONE) == "revoked"


def test_names_hashed_by_ssh_keygen_are_found(file: Path, openssh: OpenSsh) -> None:
    known = knowing(file, f"web1 {line(ONE)}", f"[10.0.0.5]:2222 {line(OTHER)}")
    subprocess.run([openssh.tool("ssh-keygen"), "-H", "-f", file], check=True, capture_output=True)
    assert "web1" not in file.read_text()
    assert known.of("web1", 22).keys == (ONE,)
    assert known.of("10.0.0.5", 2222).keys == (OTHER,)
    assert known.of("web2", 22) == Known()


def test_lines_that_cannot_be_read_are_skipped_and_told(file: Path) -> None:
    known = knowing(
        file,
        "# a comment",
        "",
        "web1",
        f"@trusted web1 {line(ONE)}",
        "web1 ssh-ed25519 no~base64",
        f"web1 ssh-rsa {line(ONE).split()[1]}",
        f"|1|x|y|z {line(ONE)}",
        f"web1 {line(OTHER)}",
    )
    assert known.of("web1", 22).keys == (OTHER,)
    assert [fault.removeprefix(f"{file} line ") for fault in known.faults] == [
        "3: expected a host name, the kind of the key, and the key",
        "4: @trusted is no marker; expected @cert-authority or @revoked",
        "5: the key is not base64",
        "6: the key is not of the kind ssh-rsa",
        "7: expected a hashed name as ssh-keygen -H writes it: |1|salt|hash",
    ]


def test_a_kind_of_key_that_nobody_knows_is_passed_over(file: Path) -> None:
    blob = "AAAACHNzaC10ZXN0AAAABHRlc3Q="  # ssh-test
    assert knowing(file, f"web1 ssh-test {blob}", f"web1 {line(ONE)}").of("web1", 22).keys == (ONE,)


def test_a_change_of_the_file_is_seen(file: Path) -> None:
    known = knowing(file, f"web1 {line(ONE)}")
    assert known.of("web1", 22).keys == (ONE,)
    file.write_text(f"web1 {line(OTHER)}\n")
    os.utime(file, ns=(1, 1))
    assert known.of("web1", 22).keys == (OTHER,)
    file.unlink()
    assert known.of("web1", 22) == Known()


def test_other_files_are_read_beside_the_own_one(file: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "ssh_known_hosts"
    theirs.write_text(f"web1 {line(OTHER)}\n")
    file.write_text(f"web1 {line(ONE)}\n")
    known = KnownHosts(file, [theirs, tmp_path / "missing"]).of("web1", 22)
    assert (known.verdict(ONE), known.verdict(OTHER)) == ("known", "known")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot read the known hosts in .*: Is a directory"):
        KnownHosts(tmp_path).of("web1", 22)


@given(
    st.lists(st.one_of(st.text(max_size=60), st.sampled_from([f"web1 {line(ONE)}", "@revoked", "|1|a|b"])), max_size=9)
)
def test_no_file_is_too_odd_to_be_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    file = tmp_path_factory.mktemp("odd") / "known_hosts"
    file.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    known = KnownHosts(file).of("web1", 22)
    assert known.keys in ((), (ONE,))


# Files that are damaged: cut off, half written, overwritten with something else


def damaged(key: asyncssh.SSHKey) -> str:
    """A key whose base64 is whole and whose content is not."""
    kind, blob = line(key).split()
    content = bytearray(base64.b64decode(blob))
    content[-30:-10] = bytes(20)
    return f"{kind} {base64.b64encode(content).decode()}"


@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521"])
def test_a_key_that_is_no_point_of_its_curve_is_skipped_and_told(file: Path, kind: str) -> None:
    known = knowing(file, f"web1 {line(ONE)}", f"web1 {damaged(a_key(kind))}").of("web1", 22)
    assert known.keys == (ONE,)
    assert known.unread == (f"{file} line 2: the key is damaged",)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"])
def test_a_file_that_is_cut_off_anywhere_knows_what_stands_before(file: Path, kind: str) -> None:
    last = f"web2 {line(a_key(kind))}"
    for kept in range(0, len(last), 3):
        file.write_text(f"web1 {line(ONE)}\n{last[:kept]}")
        known = KnownHosts(file)
        assert known.of("web1", 22).keys == (ONE,)
        assert known.of("web2", 22).keys == ()
        if kept:
            assert known.of("web2", 22).unread[0].startswith(f"{file} line 2: ")


@given(st.binary(max_size=300), st.integers(0, 200), st.sampled_from(["ssh-ed25519", "ecdsa-sha2-nistp256"]))
def test_bytes_in_the_middle_of_a_line_cost_that_line_at_most(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, at: int, kind: str
) -> None:
    file = tmp_path_factory.mktemp("odd") / "known_hosts"
    hit = f"web2 {line(KEYS[kind])}".encode()
    file.write_bytes(
        f"web1 {line(ONE)}\n".encode() + hit[:at] + garbage + hit[at:] + f"\nweb3 {line(OTHER)}\n".encode()
    )
    known = KnownHosts(file)
    assert known.of("web1", 22).keys[:1] == (ONE,)
    assert known.of("web3", 22).keys[-1:] == (OTHER,)
    known.of("web2", 22)


# Writing


async def test_trust_makes_a_key_known_and_the_file_ours_alone(file: Path) -> None:
    known = KnownHosts(file)
    await known.trust("10.0.0.5", 2222, line(ONE))
    assert known.of("10.0.0.5", 2222).verdict(ONE) == "known"
    assert file.read_text() == f"[10.0.0.5]:2222 {line(ONE)}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_trust_replaces_the_key_that_was_known(file: Path) -> None:
    known = knowing(file, f"web1 {line(ONE)}", f"web1 {line(OTHER)}")
    await known.trust("web1", 22, line(THIRD))
    assert known.of("web1", 22).keys == (THIRD,)


async def test_trust_leaves_everything_else_as_it_was(file: Path) -> None:
    others = ["# by hand", f"web2 {line(ONE)}", f"@cert-authority * {line(OTHER)}", "not a line", f"*.org {line(ONE)}"]
    known = knowing(file, *others, f"web1,web3 {line(ONE)}")
    await known.trust("web1", 22, line(THIRD))
    assert file.read_text().splitlines() == [*others, f"web3 {line(ONE)}", f"web1 {line(THIRD)}"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00" * 5000,
        bytes(range(256)) * 20,
        b"\x0b\x0c\x1c\x1d\x85\xe2\x80\xa8",
        b"web2 ssh-ed25519 AAAAC3Nz",
        b"\r\n\r\n",
    ],
    ids=["empty", "zeros", "all bytes", "ends of lines to Python", "half a line", "carriage returns"],
)
async def test_trust_changes_no_byte_of_what_it_cannot_read(file: Path, garbage: bytes) -> None:
    before = f"web3 {line(ONE)}\n".encode() + garbage
    file.write_bytes(before)
    await KnownHosts(file).trust("web1", 22, line(THIRD))
    end = b"" if before.endswith(b"\n") else b"\n"  # what was cut off is not continued
    assert file.read_bytes() == before + end + f"web1 {line(THIRD)}\n".encode()


async def test_trust_mends_a_key_that_is_damaged(file: Path) -> None:
    known = knowing(file, f"web1 {damaged(a_key('ecdsa-sha2-nistp256'))}")
    await known.trust("web1", 22, line(ONE))
    assert file.read_text() == f"web1 {line(ONE)}\n"


async def test_trust_replaces_a_hashed_name(file: Path, openssh: OpenSsh) -> None:
    known = knowing(file, f"web1 {line(ONE)}", f"web2 {line(ONE)}")
    subprocess.run([openssh.tool("ssh-keygen"), "-H", "-f", file], check=True, capture_output=True)
    await known.trust("web1", 22, line(OTHER))
    assert known.of("web1", 22).keys == (OTHER,)
    assert known.of("web2", 22).keys == (ONE,)


async def test_what_trust_writes_is_what_ssh_reads(file: Path, openssh: OpenSsh) -> None:
    await KnownHosts(file).trust("10.0.0.5", 2222, line(ONE))
    argv: list[str | Path] = [openssh.tool("ssh-keygen"), "-F", "[10.0.0.5]:2222", "-l", "-f", file]
    assert ONE.get_fingerprint() in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


async def test_a_revoked_key_is_not_trusted(file: Path) -> None:
    known = knowing(file, f"@revoked * {line(ONE)}")
    with pytest.raises(Refused, match="is revoked"):
        await known.trust("web1", 22, line(ONE))
    assert file.read_text() == f"@revoked * {line(ONE)}\n"


async def test_many_who_trust_at_once_lose_nothing(file: Path) -> None:
    known, also = KnownHosts(file), KnownHosts(file)  # two processes, as it were
    await asyncio.gather(*((known, also)[n % 2].trust(f"web{n}", 22, line(ONE)) for n in range(40)))
    assert sorted(one.split()[0] for one in file.read_text().splitlines()) == sorted(f"web{n}" for n in range(40))
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "known_hosts.lock").mkdir()
    with pytest.raises(Unavailable, match=r"cannot write .*/known_hosts: Is a directory"):
        await KnownHosts(tmp_path / "known_hosts").trust("web1", 22, line(ONE))


def test_five_thousand_lines_cost_a_look_up_nothing(file: Path) -> None:
    known = knowing(file, *(f"web{n} {line(ONE)}" for n in range(5000)))
    known.of("web1", 22)
    decoded = [entry for book in known._books for entries in book._exact.values() for entry in entries if entry.decoded]
    assert len(decoded) == 1


def test_a_name_in_known_hosts_is_as_ssh_writes_it() -> None:
    assert [known_as("Web1", 22), known_as("web1", 2222), known_as("::1", 22)] == ["web1", "[web1]:2222", "::1"]
