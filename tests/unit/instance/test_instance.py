"""Which Rota is meant, and whose it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rota.daemon.locks import FileLock
from rota.domain.errors import InvalidInput, Refused, Unavailable
from rota.instance import Instance, resolve, user_home

NOWHERE = Path("/nonexistent/rota.yaml")
ENV = {"HOME": "/home/ada"}


def chosen(*, home: str | None = None, server: str | None = None, **env: str) -> Instance:
    return resolve(home=home, server=server, env=ENV | env, system_config=NOWHERE)


def test_an_option_beats_everything() -> None:
    instance = chosen(home="/a", ROTA_HOME="/b", ROTA_SERVER="https://c")
    assert (instance.home, instance.kind) == (Path("/a"), "option")


def test_a_typed_server_beats_the_environment() -> None:
    instance = chosen(server="https://rota.example/", ROTA_HOME="/b")
    assert (instance.kind, instance.server) == ("server", "https://rota.example")


def test_rota_home_beats_rota_server() -> None:
    instance = chosen(ROTA_HOME="/b", ROTA_SERVER="https://c")
    assert (instance.home, instance.kind, instance.server) == (Path("/b"), "environment", None)


def test_rota_server_beats_the_instances_of_this_machine(tmp_path: Path) -> None:
    config = tmp_path / "rota.yaml"
    config.touch()
    assert resolve(env=ENV | {"ROTA_SERVER": "https://c"}, system_config=config).kind == "server"


def test_the_system_instance_is_chosen_where_its_configuration_exists(tmp_path: Path) -> None:
    config = tmp_path / "rota.yaml"
    config.touch()
    instance = resolve(env=ENV, system_config=config, system_home=tmp_path / "lib")
    assert (instance.home, instance.kind, instance.config) == (tmp_path / "lib", "system", config)


def test_the_system_home_reads_the_system_configuration_however_it_was_named(tmp_path: Path) -> None:
    config = tmp_path / "rota.yaml"
    config.touch()
    lib = tmp_path / "lib"
    instance = resolve(env={"ROTA_HOME": str(lib)}, system_config=config, system_home=lib)
    assert (instance.kind, instance.config) == ("environment", config)


def test_otherwise_it_is_the_users_own() -> None:
    instance = chosen()
    assert (instance.home, instance.kind) == (user_home(ENV), "user")


def test_empty_values_count_as_not_given() -> None:
    assert chosen(home="", server="", ROTA_HOME="", ROTA_SERVER="").kind == "user"


@pytest.mark.parametrize(
    ("platform", "env", "home"),
    [
        ("linux", {}, "/home/ada/.local/share/rota"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/rota"),
        ("linux", {"XDG_DATA_HOME": "relative/is/ignored"}, "/home/ada/.local/share/rota"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "/home/ada/Library/Application Support/rota"),
    ],
)
def test_a_users_home_follows_the_platform(platform: str, env: dict[str, str], home: str) -> None:
    assert user_home(ENV | env, platform) == Path(home)


def test_the_home_may_begin_with_a_tilde_or_be_relative() -> None:
    assert chosen(home="~/r").home == Path("/home/ada/r")
    assert chosen(home="r").home == Path.cwd() / "r"


def test_a_home_and_a_server_at_once_are_refused() -> None:
    with pytest.raises(InvalidInput, match="--home and --server name two instances"):
        chosen(home="/a", server="https://c")


def test_a_server_must_be_a_url() -> None:
    with pytest.raises(InvalidInput, match=r'ROTA_SERVER "box7" is not a URL'):
        chosen(ROTA_SERVER="box7")


def test_an_instance_exists_once_its_store_does(tmp_path: Path) -> None:
    instance = chosen(home=str(tmp_path))
    assert not instance.exists
    instance.store.touch()
    assert instance.exists


def test_preparing_makes_folders_for_the_owner_only(tmp_path: Path) -> None:
    instance = chosen(home=str(tmp_path / "new" / "home"))
    instance.prepare()
    folders = [instance.home, *instance.home.iterdir()]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    assert {folder.name for folder in folders[1:]} == {
        "owners",
        "keeper",
        "playbooks",
        "logs",
        "backups",
        "keys",
        "tmp",
    }
    assert instance.owner_uid == os.geteuid()


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    instance = chosen(home=str(tmp_path / "home"))
    instance.prepare()
    (instance.playbooks_dir / "mine.yaml").touch()
    instance.prepare()
    assert (instance.playbooks_dir / "mine.yaml").exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_home_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    with pytest.raises(Refused, match=f"chmod go-w {home}"):
        chosen(home=str(home)).prepare()


def test_a_home_of_another_user_is_refused_even_for_root(tmp_path: Path) -> None:
    home = Path("/usr")  # root's; root gives a folder of his own away instead
    if os.geteuid() == 0:
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        os.chown(home, 65534, 65534)
    with pytest.raises(Refused, match=f"{home} belongs to .*, and you are"):
        chosen(home=str(home)).prepare()


def test_a_file_where_the_home_should_be_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(Unavailable, match="is in the way"):
        chosen(home=str(tmp_path / "home")).prepare()


def test_the_daemon_is_known_by_its_lock(tmp_path: Path) -> None:
    instance = chosen(home=str(tmp_path))
    assert instance.daemon_pid() is None
    with FileLock.try_acquire(instance.engine_lock, kind="daemon") or pytest.fail("not taken"):
        assert instance.daemon_pid() == os.getpid()
    assert instance.daemon_pid() is None


def test_a_daemons_old_record_means_nothing(tmp_path: Path) -> None:
    instance = chosen(home=str(tmp_path))
    lock = FileLock.try_acquire(instance.engine_lock, kind="daemon") or pytest.fail("not taken")
    lock.release()
    assert f'"pid": {os.getpid()}' in instance.engine_lock.read_text()
    assert instance.daemon_pid() is None


def test_choosing_an_instance_loads_nothing_heavy() -> None:
    code = (
        "import sys; from rota.instance import resolve; resolve(home='/tmp/x', env={})\n"
        "heavy = {'pydantic', 'sqlalchemy', 'asyncio', 'yaml', 'ruamel', 'json', 'socket', 'subprocess'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
