"""The server that the conformance suite wants to meet, behind our own HTTP: transport, tokens, bounds and subscriptions are ours.

The suite calls tools, resources and prompts by fixed names, so no real server passes it; these are they. It can send no
token, so whoever brings none is given one here, and is let in by the same check as anybody.
"""

import asyncio
import sys
from typing import Any

from enhanced_memory.mcp_server import quiet

quiet.isolate()

import mcp.types as t  # noqa: E402
from fastmcp import Context, FastMCP  # noqa: E402
from fastmcp.exceptions import ToolError  # noqa: E402
from fastmcp.prompts import Message, PromptResult  # noqa: E402
from fastmcp.tools import Tool, ToolResult  # noqa: E402
from starlette.types import ASGIApp, Receive, Scope, Send  # noqa: E402

from enhanced_memory.client.settings import Settings  # noqa: E402
from enhanced_memory.mcp_server import http  # noqa: E402
from enhanced_memory.mcp_server.accounts import Accounts  # noqa: E402
from enhanced_memory.mcp_server.listening import at_address, place  # noqa: E402
from enhanced_memory.mcp_server.tokens import Tokens  # noqa: E402

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="


class Lent:
    """Gives a token to whoever brings none."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._header = (b"authorization", b"Bearer " + secret.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


class Fixture(FastMCP):
    secret = ""

    def http_app(self, **given: Any) -> Any:
        return Lent(super().http_app(**given), self.secret)


class Streams(http.Streams):
    """Ours, for the suite's one address: it is taken for the graph."""

    async def _subscribe(self, ctx: Any, params: t.SubscribeRequestParams) -> t.EmptyResult:
        return await super()._subscribe(ctx, params.model_copy(update={"uri": ours(params.uri)}))

    async def _unsubscribe(self, ctx: Any, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        return await super()._unsubscribe(ctx, params.model_copy(update={"uri": ours(params.uri)}))


def ours(uri: Any) -> str:
    return "memory://knowledge-graph" if str(uri) == "test://watched-resource" else str(uri)


server = Fixture("fixture", dereference_schemas=False)


def text(said: str) -> t.TextContent:
    return t.TextContent(type="text", text=said)


def embedded(uri: str, said: str) -> t.EmbeddedResource:
    return t.EmbeddedResource(
        type="resource", resource=t.TextResourceContents(uri=uri, mime_type="text/plain", text=said)
    )


IMAGE = t.ImageContent(type="image", data=PNG, mime_type="image/png")


@server.tool
def test_simple_text() -> str:
    """Simple text."""
    return "This is a simple text response for testing."


@server.tool
def test_image_content() -> ToolResult:
    """An image."""
    return ToolResult(content=[IMAGE])


@server.tool
def test_audio_content() -> ToolResult:
    """A sound."""
    return ToolResult(content=[t.AudioContent(type="audio", data=WAV, mime_type="audio/wav")])


@server.tool
def test_embedded_resource() -> ToolResult:
    """A resource inside an answer."""
    return ToolResult(content=[embedded("test://embedded-resource", "This is an embedded resource content.")])


@server.tool
def test_multiple_content_types() -> ToolResult:
    """Text, an image and a resource."""
    return ToolResult(content=[text("Multiple content types test:"), IMAGE, embedded("test://mixed", "mixed")])


@server.tool
async def test_tool_with_logging(ctx: Context) -> str:
    """Three log messages while it works."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(said)
    return "logged"


@server.tool
def test_error_handling() -> str:
    """Always an error."""
    raise ToolError("This tool intentionally returns an error for testing")


@server.tool
async def test_tool_with_progress(ctx: Context) -> str:
    """Progress from 0 to 100."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
    return "done"


@server.tool
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Asks the client's model, as the older era can."""
    said = await ctx.session.create_message(
        messages=[t.SamplingMessage(role="user", content=text(prompt))],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    return f"LLM response: {getattr(said.content, 'text', '')}"


async def elicited(ctx: Context, message: str, properties: dict[str, Any], required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    said = await ctx.session.elicit_form(message=message, requested_schema=schema, related_request_id=ctx.request_id)
    return f"Elicitation completed: action={said.action}, content={said.content}"


@server.tool
async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the person."""
    properties = {"username": {"type": "string"}, "email": {"type": "string"}}
    return await elicited(ctx, message, properties, ["username", "email"])


@server.tool
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Asks the person, with defaults."""
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicited(ctx, "Please review and update the form fields with defaults", properties, [])


@server.tool
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Asks the person to choose, in all five ways."""
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
    properties = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await elicited(ctx, "Please select options", properties, [])


class Addressed(Tool):
    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content=[text(str(arguments))])


server.add_tool(
    Addressed(
        name="json_schema_2020_12_tool",
        description="Tool with JSON Schema 2020-12 features",
        parameters={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "type": "object",
                    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
                }
            },
            "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
            "additionalProperties": False,
        },
    )
)


@server.tool
async def test_reconnection(ctx: Context) -> str:
    """Closes the stream it answers on, so that the client has to come again."""
    await ctx.close_sse_stream()
    return "reconnected"


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """Text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """An image."""
    return b"\x89PNG\r\n\x1a\n"


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    """Something for each id."""
    return f'{{"id": "{id}", "templateTest": true, "data": "Data for ID: {id}"}}'


@server.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    """What can be subscribed to."""
    return "watched"


@server.prompt
def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


@server.prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> PromptResult:
    """A prompt with a resource in it."""
    return PromptResult(
        [Message(embedded(resourceUri, "Embedded resource content for testing.")), Message("Process it.")]
    )


@server.prompt
def test_prompt_with_image() -> PromptResult:
    """A prompt with an image in it."""
    return PromptResult([Message(IMAGE), Message("Please analyze the image above.")])


@server.completion
async def complete(ref: Any, argument: t.CompletionArgument, context: Any) -> list[str]:
    """Nothing to suggest."""
    return []


async def main() -> None:
    settings = Settings.load()
    tokens = Tokens(settings.store_path)
    server.secret = tokens.create("conformance", ["read", "write"], "conformance")
    http.Streams = Streams
    with at_address("127.0.0.1", 0) as listener:
        ready = lambda: print(f"serving {place(listener, http.PATH)}", file=sys.stderr, flush=True)  # noqa: E731
        await http.serve(server, Accounts(settings, tokens), listener, ready)


if __name__ == "__main__":
    asyncio.run(main())
