"""Whether hosts can be reached, and the keys by which they are known. Outside any run; the way itself is a port."""

from __future__ import annotations

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict, Unavailable
from rota.domain.inventory import LOCAL, Host
from rota.ports import HostKey, KeyCheck, Reach
from rota.storage import audit, inventory
from rota.storage.inventory import HostRow
from rota.usecases import shapes
from rota.usecases.context import Context
from rota.usecases.hosts import subject


async def ping(ctx: Context, principal: Principal, name: str) -> shapes.Ping:
    """Log in to the host and run nothing of effect. What is wrong with it is in the answer.

    Raises NotFound with a near name.
    """
    authorize(principal, Verb.RUN, f"host {name}")
    host = await _host(ctx, name)
    if host.connector == "local":
        return {
            "host": name, "ok": True, "reason": None, "message": "this machine itself", "seconds": 0.0, "system": None
        }  # fmt: skip
    ping = await _reach(ctx, host).ping(host)
    return {
        "host": name,
        "ok": ping.reason is None,
        "reason": None if ping.reason is None else str(ping.reason),
        "message": ping.message,
        "seconds": round(ping.seconds, 3),
        "system": ping.system,
    }


async def key(ctx: Context, principal: Principal, name: str) -> shapes.KeyCheck:
    """The key that the host shows now, and what is known of it. Raises Unavailable where it cannot be asked."""
    authorize(principal, Verb.READ, f"host {name}")
    host = await _host(ctx, name)
    return _resource(name, await _reach(ctx, host).key_of(host))


async def trust(ctx: Context, principal: Principal, name: str, fingerprint: str, *, replace: bool) -> shapes.KeyCheck:
    """From now on the key with this fingerprint is the host's. The host is asked again, and has to show that key still.

    Raises Conflict where it shows another, or where another was known and `replace` does not say to give that up.
    """
    authorize(principal, Verb.WRITE, f"host {name}")
    host = await _host(ctx, name)
    reach = _reach(ctx, host)
    check = await reach.key_of(host)
    if check.shown.fingerprint != fingerprint:
        raise Conflict(
            f"host {name} shows the key {check.shown.fingerprint}",
            expected=fingerprint,
            hint=f"look at it again: rota hosts trust {_selector(name)}",
        )
    if check.verdict == "changed" and not replace:
        known = ", ".join(each.fingerprint for each in check.before)
        raise Conflict(
            f"host {name} shows the key {fingerprint}, and was known by {known}",
            expected="the key it was known by",
            hint=f"if the change is meant: rota hosts trust {_selector(name)} --replace",
        )
    if check.verdict != "known":
        row = (await ctx.store.read(inventory.load)).by_name.get(name)
        about = f"host {name}" if row is None else subject(row)
        detail = {
            "name": name, "fingerprint": fingerprint, "before": [each.fingerprint for each in check.before],
        }  # fmt: skip
        # Recorded first: a key that nobody is on record for must not be trusted.
        await ctx.store.write(lambda tx: audit.record(tx, principal.name, "trust", about, detail))
        await reach.trust(host, check.shown)
    return _resource(name, check)


async def _host(ctx: Context, name: str) -> Host:
    if name == LOCAL:
        return Host(name=LOCAL)
    row: HostRow = (await ctx.store.read(inventory.load)).get(name)
    return row.host


def _reach(ctx: Context, host: Host) -> Reach:
    """Raises Conflict for a host that has no key of its own, being this machine."""
    if host.connector == "local":
        raise Conflict(
            f"host {host.name} is this machine itself and shows no key",
            hint=f"was another meant? rota hosts update {host.name} --connector ssh --address ADDRESS",
        )
    reach = ctx.reach.get(host.connector)
    if reach is None:
        raise Unavailable(f"this process has no way to hosts over {host.connector}", hint="rota daemon status")
    return reach


def _resource(name: str, check: KeyCheck) -> shapes.KeyCheck:
    return {
        "host": name,
        "shown": _key(check.shown),
        "verdict": check.verdict,
        "before": [_key(each) for each in check.before],
    }


def _key(key: HostKey) -> shapes.HostKey:
    return {"algorithm": key.algorithm, "fingerprint": key.fingerprint, "line": key.line}


def _selector(name: str) -> str:
    return f"host:{name}"
