"""`fs_write fs_read fs_mkdir fs_remove fs_chmod`: file steps. Idempotent: they look first and say `changed`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from rota.actions.spec import ActionSpec, OnHost, Params
from rota.domain.fileop import LARGEST_READ, LARGEST_WRITE, read_exit
from rota.domain.step import Exit, FileOp, StepContext, StepResult
from rota.templating.quoting import Quoting

Path = Annotated[
    str, StringConstraints(pattern=r"^(/|~/)", max_length=4096), Field(description="an absolute path, or ~/…")
]
Mode = Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3,4}$"), Field(description='octal, in quotes: "0644"')]
Sudo = Annotated[bool, Field(description="act as root, through `sudo -n` unless already root")]


class WriteParams(Params):
    path: Path
    content: Annotated[str, Field(description="the whole file", max_length=LARGEST_WRITE)]
    mode: Mode | None = None
    parents: Annotated[bool, Field(description="make missing folders above it")] = False
    sudo: Sudo = False


class ReadParams(Params):
    path: Path
    max_bytes: Annotated[int, Field(description="a larger file is an error", ge=1, le=LARGEST_READ)] = LARGEST_READ
    sudo: Sudo = False


class MkdirParams(Params):
    path: Path
    parents: Annotated[bool, Field(description="make missing folders above it")] = False
    mode: Mode | None = None
    sudo: Sudo = False


class RemoveParams(Params):
    path: Path
    recursive: Annotated[bool, Field(description="remove a folder with all that is in it")] = False
    sudo: Sudo = False


class ChmodParams(Params):
    path: Path
    mode: Mode
    sudo: Sudo = False


def octal(mode: str | None) -> int | None:
    """Turn `0644` into the number that system calls take."""
    return None if mode is None else int(mode, 8)


def order_write(params: WriteParams, context: StepContext) -> FileOp:
    return FileOp(
        op="write",
        path=params.path,
        content=params.content.encode(),
        mode=octal(params.mode),
        parents=params.parents,
        sudo=params.sudo,
    )


def order_read(params: ReadParams, context: StepContext) -> FileOp:
    return FileOp(op="read", path=params.path, sudo=params.sudo)


def order_mkdir(params: MkdirParams, context: StepContext) -> FileOp:
    return FileOp(op="mkdir", path=params.path, mode=octal(params.mode), parents=params.parents, sudo=params.sudo)


def order_remove(params: RemoveParams, context: StepContext) -> FileOp:
    return FileOp(op="remove", path=params.path, recursive=params.recursive, sudo=params.sudo)


def order_chmod(params: ChmodParams, context: StepContext) -> FileOp:
    return FileOp(op="chmod", path=params.path, mode=octal(params.mode), sudo=params.sudo)


def read(params: WriteParams | MkdirParams | RemoveParams | ChmodParams, ended: Exit) -> StepResult:
    return read_exit(ended)


def read_content(params: ReadParams, ended: Exit) -> StepResult:
    return read_exit(ended, max_bytes=params.max_bytes)


FS_WRITE = ActionSpec(
    kind="fs_write",
    summary="Write a file: atomically, and only if content or mode differ",
    example={"path": "~/rota-example.txt", "content": "hello {{ host.name }}\n", "mode": "0644"},
    params=WriteParams,
    work=OnHost(order_write, read),
    templates={"path": Quoting.PLAIN, "content": Quoting.PLAIN},
)
FS_READ = ActionSpec(
    kind="fs_read",
    summary="Read a small file; later steps see it as `content`",
    example={"path": "/etc/hostname"},
    params=ReadParams,
    work=OnHost(order_read, read_content),
    templates={"path": Quoting.PLAIN},
)
FS_MKDIR = ActionSpec(
    kind="fs_mkdir",
    summary="Make a folder, if it is not there",
    example={"path": "~/rota-example", "parents": True},
    params=MkdirParams,
    work=OnHost(order_mkdir, read),
    templates={"path": Quoting.PLAIN},
)
FS_REMOVE = ActionSpec(
    kind="fs_remove",
    summary="Remove a file or folder, if it is there",
    example={"path": "~/rota-example", "recursive": True},
    params=RemoveParams,
    work=OnHost(order_remove, read),
    templates={"path": Quoting.PLAIN},
)
FS_CHMOD = ActionSpec(
    kind="fs_chmod",
    summary="Set the mode of a file or folder, if it differs",
    example={"path": "~/rota-example", "mode": "0755"},
    params=ChmodParams,
    work=OnHost(order_chmod, read),
    templates={"path": Quoting.PLAIN},
)
