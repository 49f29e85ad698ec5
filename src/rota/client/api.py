"""The client: one method per verb a person can say, answering with the API's own JSON, typed.

Every method raises the errors of `rota.domain.errors` that the server's answer stands for, `InternalFault` for a
bug of the server, and Unavailable where there is no answer. A `ref` is a name, an id, or a unique prefix of an id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rota.client.sse import parse
from rota.client.wire import InternalFault, error_of
from rota.domain.errors import Unavailable

if TYPE_CHECKING:  # the types of the API's JSON are the server's own; nothing of it is imported
    from rota.client.transport import Transport
    from rota.domain.step import Json
    from rota.usecases import shapes

Body = Mapping[str, "Json"]
_PAGE = 1000
_BACKUP_SECONDS = 6 * 3600.0  # a store of a terabyte is copied at the speed of its disk
_LONGEST_IN_PATH = 4000  # characters of a selector; a longer one goes in the body


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as it is now, with its targets. `final`: it has ended, and the stream with it."""

    run: shapes.Run
    final: bool


@dataclass(frozen=True, slots=True)
class Wrote:
    output: shapes.Output


class Client:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def in_process(self) -> bool:
        """Whether no daemon is there, and this process carries out the runs it makes."""
        return self._transport.in_process

    def close(self) -> None:
        self._transport.close()

    def instance(self) -> shapes.Instance:
        info: shapes.Instance = self._get("/instance")
        return info

    # jobs

    def jobs(self, tags: Sequence[str] = ()) -> shapes.JobPage:
        """Every job that has all `tags` (`k` or `k=v`), by name, without steps, variables and next runs.

        `next` is always None.
        """
        tag = ",".join(tags) or None
        whole: shapes.JobPage = self._get("/jobs", fields="list", limit=_PAGE, tag=tag)
        while cursor := whole["next"]:
            page: shapes.JobPage = self._get("/jobs", fields="list", limit=_PAGE, tag=tag, after=cursor)
            whole["items"] += page["items"]
            whole["next"] = page["next"]
        return whole

    def job(self, ref: str) -> shapes.Job:
        job: shapes.Job = self._get(f"/jobs/{_part(ref)}")
        return job

    def create_job(self, body: Body, *, dry_run: bool = False) -> shapes.Job:
        job: shapes.Job = self._send("POST", "/jobs", body, dry_run=dry_run)
        return job

    def update_job(self, ref: str, body: Body, *, version: int | None = None, dry_run: bool = False) -> shapes.Changed:
        """Change the fields in `body`. Raises Conflict if the job is no longer at `version`."""
        match = {} if version is None else {"If-Match": f'"{version}"'}
        changed: shapes.Changed = self._send("PATCH", f"/jobs/{_part(ref)}", body, headers=match, dry_run=dry_run)
        return changed

    def enable_job(self, ref: str) -> shapes.Job:
        job: shapes.Job = self._send("POST", f"/jobs/{_part(ref)}/enable")
        return job

    def disable_job(self, ref: str) -> shapes.Job:
        job: shapes.Job = self._send("POST", f"/jobs/{_part(ref)}/disable")
        return job

    def delete_job(self, ref: str) -> shapes.Deleted:
        deleted: shapes.Deleted = self._send("DELETE", f"/jobs/{_part(ref)}")
        return deleted

    def trigger_job(self, ref: str, *, variables: Mapping[str, str] | None = None) -> shapes.Run:
        """Make a run from the saved definition. Raises Skipped where the overlap policy says no."""
        body: Body = {"vars": dict(variables)} if variables else {}
        run: shapes.Run = self._send("POST", f"/jobs/{_part(ref)}/trigger", body)
        return run

    def preview(self, *, count: int = 5, previous: int = 0, **asked: str | None) -> shapes.Preview:
        """Instants of a trigger that is not saved: one of `cron every at when rrule`, and `timezone month viewer`."""
        preview: shapes.Preview = self._get("/preview", count=count, previous=previous, **asked)
        return preview

    def preview_job(self, ref: str, *, count: int = 5, previous: int = 0, **asked: str | None) -> shapes.Preview:
        """The same of a saved job, as things stand. `asked`: `month viewer`."""
        path = f"/jobs/{_part(ref)}/preview"
        preview: shapes.Preview = self._get(path, count=count, previous=previous, **asked)
        return preview

    def history(self, ref: str | None = None, *, limit: int) -> shapes.History:
        """Runs and what the planner refused, newest first."""
        page: shapes.History = self._get("/history", job=ref, limit=limit)
        return page

    # runs

    def runs(self, *, job: str | None = None, state: str | None = None, limit: int) -> shapes.RunPage:
        """Newest first. `state` may be several with commas; `job` may have been deleted."""
        page: shapes.RunPage = self._get("/runs", job=job, state=state, limit=limit)
        return page

    def run(self, ref: str) -> shapes.Run:
        run: shapes.Run = self._get(f"/runs/{_part(ref)}")
        return run

    def start_run(self, body: Body) -> shapes.Run:
        """Make a run that no job defines."""
        run: shapes.Run = self._send("POST", "/runs", body)
        return run

    def plan_run(self, body: Body) -> shapes.Planned:
        """Say what `start_run` would do, and make nothing."""
        planned: shapes.Planned = self._send("POST", "/runs", body, dry_run=True)
        return planned

    def cancel_run(self, ref: str) -> shapes.Run:
        run: shapes.Run = self._send("POST", f"/runs/{_part(ref)}/cancel")
        return run

    def rerun(self, ref: str, *, failed: bool = False) -> shapes.Run:
        """Make a new run of the same plan on the same hosts, or on those that did not succeed."""
        run: shapes.Run = self._send("POST", f"/runs/{_part(ref)}/rerun", failed=failed)
        return run

    def plan_rerun(self, ref: str, *, failed: bool = False) -> shapes.Planned:
        """Say what `rerun` would do, and make nothing."""
        planned: shapes.Planned = self._send("POST", f"/runs/{_part(ref)}/rerun", failed=failed, dry_run=True)
        return planned

    def output(self, ref: str) -> Iterator[shapes.Output]:
        """What the run has written so far, in order."""
        after = 0
        while True:
            page: shapes.OutputPage = self._get(f"/runs/{_part(ref)}/output", after=after, limit=_PAGE)
            yield from page["items"]
            if not page["items"] or page["next"] is None or page["next"] == after:
                return
            after = page["next"]

    def follow(self, ref: str, *, after: int = 0) -> Iterator[Snapshot | Wrote]:
        """Give a run's snapshots and its output behind `after` as they come, up to the final snapshot.

        Raises Unavailable where the connection ends before the run does; follow again with the last `seq`.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        run: shapes.Run | None = None
        for event in parse(self._transport.stream("GET", _path(f"/runs/{_part(ref)}/events"), headers)):
            match event.name:
                case "run":
                    run = json.loads(event.data)
                    yield Snapshot(run, final=False)
                case "change" if run is not None:
                    run = _changed(run, json.loads(event.data))
                    yield Snapshot(run, final=False)
                case "output":
                    yield Wrote(json.loads(event.data))
                case "end":
                    yield Snapshot(json.loads(event.data), final=True)
                    return
        raise Unavailable("the stream ended before the run did", hint=f"rota runs watch {ref}")

    def why(self, ref: str, *, at: str | None = None, host: str | None = None) -> shapes.Why:
        why: shapes.Why = self._get(f"/why/{_part(ref)}", at=at, host=host)
        return why

    # calendars and pauses

    def calendars(self) -> shapes.Calendars:
        page: shapes.Calendars = self._get("/calendars")
        return page

    def calendar(self, ref: str) -> shapes.Calendar:
        calendar: shapes.Calendar = self._get(f"/calendars/{_part(ref)}")
        return calendar

    def add_calendar(self, body: Body, *, dry_run: bool = False) -> shapes.Calendar:
        calendar: shapes.Calendar = self._send("POST", "/calendars", body, dry_run=dry_run)
        return calendar

    def update_calendar(self, ref: str, body: Body, *, dry_run: bool = False) -> shapes.Calendar:
        calendar: shapes.Calendar = self._send("PATCH", f"/calendars/{_part(ref)}", body, dry_run=dry_run)
        return calendar

    def import_calendar(self, body: Body) -> shapes.Calendar:
        """Make a calendar of an iCalendar text, or give an existing one its windows."""
        calendar: shapes.Calendar = self._send("POST", "/calendars:import", body)
        return calendar

    def remove_calendar(self, ref: str) -> None:
        self._send("DELETE", f"/calendars/{_part(ref)}")

    def pauses(self, *, ended: bool = False) -> shapes.Pauses:
        """The pauses that last; with `ended` all that were."""
        page: shapes.Pauses = self._get("/pauses", ended="true" if ended else None)
        return page

    def pause(self, body: Body) -> shapes.Pause:
        pause: shapes.Pause = self._send("POST", "/pauses", body)
        return pause

    def resume(self, body: Body) -> shapes.Resumed:
        resumed: shapes.Resumed = self._send("POST", "/pauses:resume", body)
        return resumed

    # inventory and playbooks

    def hosts(self) -> shapes.Hosts:
        page: shapes.Hosts = self._get("/hosts")
        return page

    def host(self, name: str) -> shapes.Host:
        host: shapes.Host = self._get(f"/hosts/{_part(name)}")
        return host

    def match_hosts(self, selector: str) -> shapes.Names:
        names: shapes.Names
        if len(selector) <= _LONGEST_IN_PATH:
            names = self._get("/hosts:match", selector=selector)
        else:
            names = self._send("POST", "/hosts:match", {"selector": selector})
        return names

    def add_host(self, body: Body, *, dry_run: bool = False) -> shapes.Host:
        host: shapes.Host = self._send("POST", "/hosts", body, dry_run=dry_run)
        return host

    def update_host(self, name: str, body: Body, *, dry_run: bool = False) -> shapes.Host:
        """Change the fields in `body`; null takes a fact away, and so in `tags` and `vars`, which are merged."""
        host: shapes.Host = self._send("PATCH", f"/hosts/{_part(name)}", body, dry_run=dry_run)
        return host

    def remove_host(self, name: str, *, dry_run: bool = False) -> None:
        self._send("DELETE", f"/hosts/{_part(name)}", dry_run=dry_run)

    def import_hosts(self, body: Body, *, dry_run: bool = False) -> shapes.Imported:
        """All of the hosts and groups in `body`, or none."""
        imported: shapes.Imported = self._send("POST", "/hosts:import", body, dry_run=dry_run)
        return imported

    def ping_host(self, name: str) -> shapes.Ping:
        ping: shapes.Ping = self._send("POST", f"/hosts/{_part(name)}:ping")
        return ping

    def host_key(self, name: str) -> shapes.KeyCheck:
        check: shapes.KeyCheck = self._get(f"/hosts/{_part(name)}/key")
        return check

    def trust_host(self, name: str, fingerprint: str, *, replace: bool = False) -> shapes.KeyCheck:
        """Raises Conflict where the host shows another key by now, or was known by one and `replace` is not said."""
        body: Body = {"fingerprint": fingerprint, **({"replace": True} if replace else {})}
        check: shapes.KeyCheck = self._send("POST", f"/hosts/{_part(name)}:trust", body)
        return check

    def sites(self) -> shapes.Sites:
        page: shapes.Sites = self._get("/sites")
        return page

    def groups(self) -> shapes.Groups:
        page: shapes.Groups = self._get("/groups")
        return page

    def group(self, name: str) -> shapes.Group:
        group: shapes.Group = self._get(f"/groups/{_part(name)}")
        return group

    def add_group(self, body: Body, *, dry_run: bool = False) -> shapes.Group:
        group: shapes.Group = self._send("POST", "/groups", body, dry_run=dry_run)
        return group

    def update_group(self, name: str, body: Body, *, dry_run: bool = False) -> shapes.Group:
        group: shapes.Group = self._send("PATCH", f"/groups/{_part(name)}", body, dry_run=dry_run)
        return group

    def remove_group(self, name: str, *, dry_run: bool = False) -> None:
        self._send("DELETE", f"/groups/{_part(name)}", dry_run=dry_run)

    def limits(self) -> shapes.Limits:
        page: shapes.Limits = self._get("/limits")
        return page

    def set_limit(self, key: str, cap: int, *, dry_run: bool = False) -> shapes.Limit:
        limit: shapes.Limit = self._send("PUT", f"/limits/{_part(key)}", {"cap": cap}, dry_run=dry_run)
        return limit

    def remove_limit(self, key: str, *, dry_run: bool = False) -> None:
        self._send("DELETE", f"/limits/{_part(key)}", dry_run=dry_run)

    def playbooks(self) -> shapes.Playbooks:
        page: shapes.Playbooks = self._get("/playbooks")
        return page

    def playbook(self, name: str) -> shapes.Playbook:
        playbook: shapes.Playbook = self._get(f"/playbooks/{_part(name)}")
        return playbook

    def import_playbook(self, text: str, *, name: str | None = None) -> shapes.Playbook:
        body: Body = {"text": text} | ({"name": name} if name else {})
        playbook: shapes.Playbook = self._send("POST", "/playbooks", body)
        return playbook

    def validate_playbook(self, text: str) -> shapes.Validation:
        validation: shapes.Validation = self._send("POST", "/playbooks:validate", {"text": text})
        return validation

    def remove_playbook(self, name: str) -> None:
        self._send("DELETE", f"/playbooks/{_part(name)}")

    def backups(self) -> shapes.Backups:
        page: shapes.Backups = self._get("/backups")
        return page

    def create_backup(self, *, to: str | None = None) -> shapes.BackupMade:
        """Make a backup where the instance runs; `to` is an absolute path there."""
        body: Body = {} if to is None else {"to": to}
        made: shapes.BackupMade = self._send("POST", "/backups", body, patience_seconds=_BACKUP_SECONDS)
        return made

    def _get(self, path: str, **query: str | int | None) -> Any:
        """`Any` is the parsed JSON: each caller says at once which resource it is."""
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return self._exchange("GET", path, asked, None, {})

    def _send(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        dry_run: bool = False,
        failed: bool = False,
        patience_seconds: float | None = None,
    ) -> Any:
        query = {name: "true" for name, said in (("dry_run", dry_run), ("failed", failed)) if said}
        return self._exchange(method, path, query, body, headers or {}, patience_seconds)

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str],
        patience_seconds: float | None = None,
    ) -> Any:
        sent = {"Accept": "application/json", **headers}
        content: bytes | None = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        response = self._transport.request(method, _path(path), query, content, sent, patience_seconds=patience_seconds)
        if response.status >= 300:
            raise error_of(response)
        try:
            return json.loads(response.body) if response.body else None
        except ValueError as error:
            raise InternalFault(f"the answer to {method} {path} is not JSON") from error


def _path(path: str) -> str:
    return f"/api/v1{path}"


def _part(text: str) -> str:
    """Quote what a person typed as one segment of a path; "." and ".." would otherwise leave it."""
    return quote(text, safe="").replace(".", "%2E") if set(text) == {"."} else quote(text, safe="")


def _changed(run: shapes.Run, change: shapes.RunChange) -> shapes.Run:
    """The run as it is after a change; targets keep their order."""
    news = {target["id"]: target for target in change["targets"]}
    targets = [news.get(target["id"], target) for target in run.get("targets", [])]
    known = {target["id"] for target in targets}  # a run that waited makes its targets when it is admitted
    targets += [target for key, target in news.items() if key not in known]
    return {**run, **change["run"], "targets": targets}
