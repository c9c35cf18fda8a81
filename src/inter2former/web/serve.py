"""Run the server until it is stopped: a port, the address with its token, the browser."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable

import uvicorn

from inter2former.web.app import create_app
from inter2former.web.security import Guard
from inter2former.web.workspace import Workspace

__all__ = ["open_port", "serve"]

HOST = "127.0.0.1"
USUAL_PORT = 8321


def open_port(port: int | None) -> socket.socket:
    """Take a port of this machine's loopback address, which nobody outside can reach.

    Args:
        port: 1..65535, or 0 for any that is free; None: the usual one, or any other where it is taken.
    Raises:
        ValueError: it is taken or not allowed.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((HOST, USUAL_PORT if port is None else port))
        taken.listen(128)
    except (OSError, OverflowError) as error:
        taken.close()
        if port is None:
            return open_port(0)
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"port {port} cannot be used ({why}); give another one, or none") from error
    return taken


def serve(workspace: Workspace, taken: socket.socket, *, announce: Callable[[str], None], browser: bool) -> None:
    """Serve until interrupted.

    Args:
        workspace: the open project.
        taken: from `open_port`.
        announce: called with the address before the first request is answered.
        browser: open the address in the person's browser.
    Raises:
        Inter2FormerError, ValueError, OSError: the network cannot be loaded.
    """
    port = taken.getsockname()[1]
    guard = Guard.local(port)
    address = f"http://{HOST}:{port}/?token={guard.token}"
    server: uvicorn.Server | None = None

    def give_up() -> None:
        assert server is not None
        server.should_exit = True

    config = uvicorn.Config(
        create_app(workspace, guard, give_up),
        # Uvicorn's own configuration closes the handlers of everybody else in the process, and with them their streams.
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=workspace.limits.message,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    announce(address)
    if browser:
        threading.Thread(target=_show, args=(port, address), daemon=True).start()
    server.run(sockets=[taken])
    if workspace.failure is not None:
        raise workspace.failure


def _show(port: int, address: str) -> None:
    """Open the browser as soon as the server answers."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=2):
                break
        except OSError:
            time.sleep(0.05)
    webbrowser.open(address)
