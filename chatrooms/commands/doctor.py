"""`chatrooms doctor`: what of this host would hold a node back, and what to change."""

import os
import platform
import resource
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chatrooms import __version__
from chatrooms.admin.client import NotRunning, reachable
from chatrooms.commands.options import ConfigFile, DataDir, load_config
from chatrooms.config import Config
from chatrooms.listening import PortTaken, probe

_DESCRIPTORS_BESIDE: Final = 256
_SOMAXCONN_MIN: Final = 1_024
_FREE_BYTES_MIN: Final = 256 * 1_048_576
_MEMORY_BYTES_MIN: Final = 256 * 1_048_576
_SYNC_SECONDS_MAX: Final = 0.02
_SYNCS: Final = 9
_SQLITE_MIN: Final = (3, 37, 0)
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_NETWORKED: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "virtiofs"})


class Level(StrEnum):
    """How bad a finding is; `fail` sets the exit code."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line of the report; `advice` is what to change, empty where all is well."""

    subject: str
    level: Level
    found: str
    advice: str = ""


_STYLE: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def doctor(file: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Check this host for a node: files, disk, ports, memory, kernel, and what to change."""
    config = load_config(file, {"data_dir": data_dir}).config
    findings = list(examine(config))
    table = Table("", "subject", "found", "what to change", box=None, header_style="bold")
    for finding in findings:
        level = Text(finding.level.value, style=_STYLE[finding.level])
        table.add_row(level, finding.subject, Text(finding.found), Text(finding.advice))
    Console().print(table)
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(1)


def examine(config: Config) -> Iterator[Finding]:
    """Every finding, good ones too."""
    yield _versions()
    yield _open_files(config)
    yield from _disk(config.data_dir)
    yield from _ports(config)
    yield _memory(config)
    yield from _kernel()


def _versions() -> Finding:
    found = (
        f"chatrooms {__version__}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, kernel {platform.release()}"
    )
    if sqlite3.sqlite_version_info < _SQLITE_MIN:
        return Finding("versions", Level.FAIL, found, "use a Python with SQLite 3.37 or newer")
    return Finding("versions", Level.OK, found)


def _open_files(config: Config) -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = "no limit" if hard == resource.RLIM_INFINITY else f"{hard} open files"
    wanted = config.connections_max + _DESCRIPTORS_BESIDE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return Finding(
            "open files",
            Level.WARN,
            f"{room}, so some {max(hard - _DESCRIPTORS_BESIDE, 0)} connections",
            f"raise the hard limit to {wanted} (LimitNOFILE=, ulimit -Hn) for connections_max",
        )
    return Finding("open files", Level.OK, room)


def _disk(data_dir: Path) -> Iterator[Finding]:
    place = next(folder for folder in (data_dir, *data_dir.absolute().parents) if folder.is_dir())
    try:
        seconds = _sync_seconds(place)
    except OSError as error:
        advice = "give the user of the node a data directory that it may write"
        yield Finding("data directory", Level.FAIL, f"{place}: {error.strerror}", advice)
        return
    kind = _filesystem(place)
    if kind in _VOLATILE:
        advice = "use a disk: a restart of the host loses everything here"
        yield Finding("data directory", Level.WARN, f"{data_dir} on {kind}", advice)
    elif kind in _NETWORKED:
        advice = "use a local disk: SQLite's locks and syncs are not sure here"
        yield Finding("data directory", Level.WARN, f"{data_dir} on {kind}", advice)
    else:
        yield Finding("data directory", Level.OK, f"{data_dir} on {kind}")
    found = f"{seconds * 1000:.2f} ms at the median"
    if seconds > _SYNC_SECONDS_MAX:
        advice = "a send is acked after a sync: a faster disk answers faster"
        yield Finding("fdatasync", Level.WARN, found, advice)
    else:
        yield Finding("fdatasync", Level.OK, found)
    free = psutil.disk_usage(str(place)).free
    level = Level.OK if free >= _FREE_BYTES_MIN else Level.FAIL
    advice = "" if level is Level.OK else "make room: a full disk refuses sends"
    yield Finding("free space", level, _bytes(free), advice)


def _sync_seconds(place: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(_SYNCS):
            file.write(b"\0" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _filesystem(place: Path) -> str:
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    real = place.resolve()
    mount = next(folder for folder in (real, *real.parents) if str(folder) in mounts)
    return mounts[str(mount)]


def _ports(config: Config) -> Iterator[Finding]:
    try:
        reachable(config.admin_socket)
        running = True
    except NotRunning:
        running = False
    ports = [("REST port", config.host, config.http_port), ("sockets", config.host, config.ws_port)]
    if config.production:
        ports.append(("admin port", config.admin_host, config.admin_port))
    for subject, host, port in ports:
        try:
            probe(host, port)
            yield Finding(subject, Level.OK, f"{host}:{port} is free")
        except PortTaken as taken:
            if running:
                yield Finding(subject, Level.OK, f"{host}:{port} (a node runs here)")
            else:
                yield Finding(subject, Level.FAIL, str(taken), "stop it, or choose another port")


def _memory(config: Config) -> Finding:
    memory = psutil.virtual_memory()
    found = f"{_bytes(memory.available)} of {_bytes(memory.total)} available"
    if memory.available < _MEMORY_BYTES_MIN + config.recent_bytes_max:
        advice = "lower recent_bytes_max, or give the host more memory"
        return Finding("memory", Level.WARN, found, advice)
    return Finding("memory", Level.OK, f"{found}, {psutil.cpu_count() or 1} cores")


def _kernel() -> Iterator[Finding]:
    for name in ("net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog"):
        key = name.replace("/", ".")
        try:
            value = int((Path("/proc/sys") / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            yield Finding(key, Level.WARN, "cannot be read", "is this Linux with /proc?")
            continue
        if value < _SOMAXCONN_MIN:
            advice = f"sysctl -w {key}=4096, or reconnect storms are refused"
            yield Finding(key, Level.WARN, str(value), advice)
        else:
            yield Finding(key, Level.OK, str(value))
    level = Level.OK if socket.has_ipv6 else Level.WARN
    yield Finding("IPv6", level, "available" if socket.has_ipv6 else "absent")


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 -- the step between the units
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
