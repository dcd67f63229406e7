"""Run a service: its HTTP server, its bus and its parts in one loop and one process, until a signal."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from chassis import logs
from chassis.bus.connection import Bus
from chassis.hardening import harden
from chassis.inheriting import Leaving
from chassis.settings import Address, BadSetting, Environment, collector

BACKLOG = 1024
BACKPRESSURE = 4096
HEAD_MILLISECONDS = 10_000
HEAD_BYTES = 64 * 1024
FINISH_SECONDS = 6.0
# The process before has its ports for so long at most.
FREE_SECONDS, POLL_SECONDS = 60.0, 0.05

log = structlog.get_logger()


Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Listener:
    """An ASGI application and the address on which it listens."""

    application: Any
    address: Address


def start(
    service: str,
    environ: Environment,
    load: Callable[[Environment], Settings],
    run: Callable[[Settings], Coroutine[Any, Any, int]],
) -> int:
    """Harden the process, configure the logs, read the settings, run, and return the exit code."""
    harden()  # before the settings, because they read keys into memory
    try:
        logs.configure(service, environ.get("LOG_LEVEL") or "info")
        settings, traces = load(environ), collector(environ)
    except BadSetting as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 2
    if traces is None:
        return asyncio.run(run(settings))
    from chassis.otlp import exporting  # noqa: PLC0415 - without a collector no service imports the SDK

    with exporting(service, traces):
        return asyncio.run(run(settings))


async def run_service(
    bus: Bus,
    listeners: Sequence[Listener],
    parts: Mapping[str, Coroutine[Any, Any, None]],
    stopping: asyncio.Event,
) -> int:
    """Serve ASGI, stay on the bus and run the parts until a signal; return the exit code, 1 if one failed.

    During shutdown requests and running handlers finish, each within a timeout; the parts are cancelled last.
    """
    works = {"http": serve(listeners, stopping), "bus": bus.run(), **parts}
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    lost = [task for task in ended if task.get_name() != "http" or task.exception()]
    for task in lost:
        log.error("part_lost", part=task.get_name(), exc_info=task.exception())
    stopping.set()
    await asyncio.gather(asyncio.wait(tasks[:1]), bus.end_pulls())
    await bus.stop()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return int(bool(lost))


async def serve(listeners: Sequence[Listener], stopping: asyncio.Event) -> None:
    """Serve ASGI applications until SIGTERM, SIGINT or `stopping`, then finish running requests.

    At the signal the servers stop accepting connections; `stopping` is set first, so that waits end early.
    Requests that run for more than six further seconds are cut off. Clients that do not send complete
    headers within ten seconds, idle ones included, are disconnected. HTTP/2 is off for this reason: if
    granian accepts both versions it keeps idle connections for ever. If one server ends, all end. Raises
    OSError if a port is in use. Two processes may have an inherited socket at once: the later one tells when
    it accepts connections, and waits for its other ports until the earlier one has ended.
    """
    follows = any(each.address.ready is not None for each in listeners)
    for address in (each.address for each in listeners if not follows):
        if address.descriptor is None:
            _require_free(address)
    leaving = [Leaving.of(each.application, each.address) for each in listeners]
    applications = [left or each.application for left, each in zip(leaving, listeners, strict=True)]
    servers = [_server(each, to.address) for each, to in zip(applications, listeners, strict=True)]
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    serving = [
        asyncio.ensure_future(_serving(server, each.address, left))
        for server, each, left in zip(servers, listeners, leaving, strict=True)
    ]
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({*serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    waiting.cancel()
    await asyncio.gather(*(each.leave() for each in leaving if each))
    for server in servers:
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
    ended, unfinished = await asyncio.wait(serving, timeout=FINISH_SECONDS)
    for server_task in unfinished:
        log.warning("requests_cut_off")
        server_task.cancel()
    for server_task in ended:
        server_task.result()


async def _serving(server: Server, address: Address, inherited: Leaving | None) -> None:
    """Serve, on a port that the process before still has as soon as that is free; raises OSError."""
    if inherited is None:
        await _freed(address)
    serving = asyncio.ensure_future(server.serve())
    if inherited is not None:
        await asyncio.sleep(0)  # it listens now
        inherited.tell_ready()
    await serving


def _server(application: Any, address: Address) -> Server:
    server: Any = Server(
        application,
        address.host,
        address.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_MILLISECONDS, max_buffer_size=HEAD_BYTES),
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        log_enabled=False,
    )
    if (descriptor := address.descriptor) is not None:
        # granian has no option for a socket that is bound already.
        server._init_shared_socket = partial(_take, server, descriptor)
    return server  # type: ignore[no-any-return]  # it is one


def _take(server: Any, descriptor: int) -> None:
    """Have a server listen on an inherited socket in place of one that it binds; neither is a Unix socket."""
    holder: Any = SocketHolder  # its stub has no arguments
    server._shd, server._sfd = holder(descriptor, False, BACKLOG), descriptor  # noqa: FBT003 - granian's order


async def _freed(address: Address) -> None:
    """Wait until a port is free; raises OSError if it is not in time."""
    for _ in range(int(FREE_SECONDS / POLL_SECONDS)):
        with suppress(OSError):
            _require_free(address)
            return
        await asyncio.sleep(POLL_SECONDS)
    _require_free(address)


def _require_free(address: Address) -> None:
    """Raise OSError if another process listens on the port, because granian would silently share it."""
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.host, address.port))
