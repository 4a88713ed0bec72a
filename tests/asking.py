"""Requests that are answered without a daemon around them."""

from typing import Any

from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.service import Service
from enhanced_memory.daemon.store import Engine


async def asked(engine: Engine, service: Service, request: Request[Any]) -> Any:
    """The answer: of the attendant that the operation has, or of its handler within a change."""
    call = Call(Peer(greeted=True), request)
    attendant = service.attended.get(request.op)
    if attendant is not None:
        return await attendant(call)
    return await engine.write(lambda tx: HANDLERS[request.op](tx, request), call)
