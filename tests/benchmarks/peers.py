"""The bare operations that services are compared with: a socket echo, and one starlette route.

usage: peers.py echo PATH READY_FD | peers.py starlette READY_FD
"""

from __future__ import annotations

import json
import os
import socket
import sys


def echo(path: str, ready: int) -> None:
    """Answer every connection with what it sent."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    os.write(ready, b"{}\n")
    os.close(ready)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(connection.recv(4096))


def bare_route(ready: int) -> None:
    """Serve one route that reads JSON and answers JSON."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def preflight(request: Request) -> JSONResponse:
        return JSONResponse({"allowed": True, "params": await request.json()})

    app = Starlette(routes=[Route("/v1/preflight/exec", preflight, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    os.write(ready, json.dumps({"port": listener.getsockname()[1]}).encode() + b"\n")
    os.close(ready)
    config = uvicorn.Config(app, log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(sys.argv[2], int(sys.argv[3]))
    else:
        bare_route(int(sys.argv[2]))
