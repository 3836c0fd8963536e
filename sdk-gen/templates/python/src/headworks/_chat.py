"""Messages in short, answers in hand, streams that survive a lost connection."""

from __future__ import annotations

import json
import mimetypes
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import grpc

from . import v1
from ._runtime import Tries
from .errors import HeadworksError, from_rpc
from .money import usd

Content = str | v1.Part


def _parts(content: tuple[Content, ...]) -> list[v1.Part]:
    return [v1.Part(text=one) if isinstance(one, str) else one for one in content]


def user(*content: Content) -> v1.Message:
    """What the person says: texts, and parts such as `image(...)`."""
    return v1.Message(role=v1.Role.ROLE_USER, parts=_parts(content))


def system(*content: Content) -> v1.Message:
    """Instructions of the application."""
    return v1.Message(role=v1.Role.ROLE_SYSTEM, parts=_parts(content))


def assistant(*content: Content) -> v1.Message:
    """What the model said. For its real answers, `reply.message` keeps more."""
    return v1.Message(role=v1.Role.ROLE_ASSISTANT, parts=_parts(content))


def tool_result(call: "v1.ToolCall | str", *content: Content, is_error: bool = False) -> v1.Message:
    """What a tool gave back for a call of `reply.tool_calls`, or for its id."""
    id_ = call if isinstance(call, str) else call.id
    name = "" if isinstance(call, str) else call.name
    result = v1.ToolResult(tool_call_id=id_, name=name, parts=_parts(content), is_error=is_error)
    return v1.Message(role=v1.Role.ROLE_TOOL, parts=[v1.Part(tool_result=result)])


def image(source: "str | bytes | os.PathLike[str]", mime_type: str = "", detail: str = "") -> v1.Part:
    """A picture: a URL, its bytes (then `mime_type` too), or the path of a file."""
    if isinstance(source, bytes):
        return v1.Part(image=v1.Image(data=source, mime_type=mime_type, detail=detail))
    if isinstance(source, str):
        return v1.Part(image=v1.Image(url=source, mime_type=mime_type, detail=detail))
    path = Path(source)
    kind = mime_type or mimetypes.guess_type(path.name)[0] or ""
    return v1.Part(image=v1.Image(data=path.read_bytes(), mime_type=kind, detail=detail))


def function(name: str, description: str = "", parameters: Mapping[str, Any] | None = None, strict: bool | None = None) -> v1.Tool:
    """A tool that the application runs. `parameters` is the JSON Schema of its arguments."""
    schema = json.dumps(parameters) if parameters is not None else ""
    return v1.Tool(function=v1.FunctionTool(name=name, description=description, parameters_json=schema, strict=strict))


def json_schema(schema: Mapping[str, Any], name: str = "", strict: bool | None = None) -> v1.OutputFormat:
    """Asks for JSON that follows a schema; `reply.json()` reads it."""
    return v1.OutputFormat(json_schema=v1.JsonSchemaFormat(name=name, schema_json=json.dumps(schema), strict=strict))


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    raw: v1.ChatReply
    """The message itself."""

    @property
    def message(self) -> v1.Message:
        """The first answer as a message, to be put before the next turn."""
        return self.raw.choices[0].message if self.raw.choices else v1.Message(role=v1.Role.ROLE_ASSISTANT)

    @property
    def text(self) -> str:
        """The text of the first answer."""
        return "".join(part.text for part in self.message.parts)

    @property
    def reasoning(self) -> str:
        """What the model thought first, where it can be read."""
        return "".join(part.reasoning.text for part in self.message.parts)

    @property
    def tool_calls(self) -> Sequence[v1.ToolCall]:
        """Calls for the application to run."""
        return [part.tool_call for part in self.message.parts if part.WhichOneof("kind") == "tool_call"]

    def json(self) -> Any:
        """The text, read as JSON."""
        return json.loads(self.text)

    @property
    def finish_reason(self) -> "v1.FinishReason.ValueType":
        """Why the first answer ended."""
        return self.raw.choices[0].finish_reason if self.raw.choices else v1.FinishReason.FINISH_REASON_UNSPECIFIED

    @property
    def usage(self) -> v1.Usage:
        """Tokens and money."""
        return self.raw.usage

    @property
    def route(self) -> v1.Route:
        """How the call went: every attempt, and what was left out."""
        return self.raw.route

    @property
    def served_by(self) -> str:
        """What served, as `provider/model`."""
        return self.raw.served_by

    @property
    def cost(self) -> Decimal:
        """What it cost, US dollars, exactly."""
        return usd(self.raw.usage.cost_nano_usd)


def arguments(call: v1.ToolCall) -> Any:
    """The arguments of a tool call, read as JSON."""
    return json.loads(call.arguments_json or "{}")


class Fold:
    """Events to an answer: a reply is the fold of its events."""

    def __init__(self) -> None:
        self.reply = v1.ChatReply()
        self._calls: dict[int, v1.ToolCall] = {}

    def add(self, event: v1.StreamEvent) -> None:
        reply, kind = self.reply, event.WhichOneof("kind")
        if kind == "started":
            begun = event.started
            reply.request_id, reply.served_by, reply.model, reply.id = begun.request_id, begun.served_by, begun.model, begun.id
            return
        if kind == "completed":
            reply.usage.CopyFrom(event.completed.usage)
            reply.route.CopyFrom(event.completed.route)
            reply.request_id = event.completed.route.request_id or reply.request_id
            return
        if kind in ("restarted", "recovered"):
            reply.served_by = event.restarted.to if kind == "restarted" else event.recovered.to
            if kind == "restarted":
                del reply.choices[:]
                self._calls.clear()
            return
        if kind is None:
            return
        while len(reply.choices) <= event.choice:
            reply.choices.append(v1.Choice(index=len(reply.choices), message=v1.Message(role=v1.Role.ROLE_ASSISTANT)))
        self._grow(reply.choices[event.choice], kind, event)

    def _grow(self, choice: v1.Choice, kind: str, event: v1.StreamEvent) -> None:
        parts = choice.message.parts
        last = parts[-1] if parts else v1.Part()
        at = last.WhichOneof("kind")
        open_thought = at == "reasoning" and not last.reasoning.signature and not last.reasoning.redacted
        if kind == "text":
            if at == "text":
                last.text += event.text
            else:
                parts.add(text=event.text)
        elif kind == "refusal":
            if at == "refusal":
                last.refusal += event.refusal
            else:
                parts.add(refusal=event.refusal)
        elif kind == "reasoning":
            if open_thought:
                last.reasoning.text += event.reasoning
            else:
                parts.add(reasoning=v1.Reasoning(text=event.reasoning))
        elif kind == "reasoning_signature":
            if open_thought:
                last.reasoning.signature = event.reasoning_signature
            else:
                parts.add(reasoning=v1.Reasoning(signature=event.reasoning_signature))
        elif kind == "redacted_reasoning":
            parts.add(reasoning=v1.Reasoning(redacted=event.redacted_reasoning))
        elif kind == "tool_call_started":
            begun = event.tool_call_started
            part = parts.add(tool_call=v1.ToolCall(id=begun.id, name=begun.name, signature=begun.signature))
            self._calls[begun.index] = part.tool_call
        elif kind == "tool_call_arguments":
            call = self._calls.get(event.tool_call_arguments.index)
            if call is not None:
                call.arguments_json += event.tool_call_arguments.piece
        elif kind == "hosted_json":
            choice.hosted_json.append(event.hosted_json)
        elif kind == "logprobs_json":
            choice.logprobs_json = event.logprobs_json
        elif kind == "opaque":
            parts.add(opaque=event.opaque)
        elif kind == "finished":
            choice.finish_reason = event.finished.reason


RESUME_WINDOW = timedelta(minutes=1)
"""How long a stream can be taken up again where the chat does not say."""


class Progress:
    """What is known of a stream under way: enough to go on with it."""

    def __init__(self, chat: v1.Chat, tries: Tries) -> None:
        if not chat.HasField("resume_window"):
            chat.resume_window.FromTimedelta(RESUME_WINDOW)
        self.resumable = chat.resume_window.ToTimedelta() > timedelta()
        self.over = False
        self.repeatable = bool(chat.request_id)
        self.stream_id, self.sequence, self.tries = "", 0, tries
        self.resumes = 0

    def seen(self, event: v1.StreamEvent) -> bool:
        """Notes an event; False for one that was seen before."""
        if event.sequence and event.sequence <= self.sequence:
            return False
        self.sequence = event.sequence
        self.stream_id = event.started.stream_id or self.stream_id
        self.tries.made = 0
        return True

    def leave(self) -> bool:
        """True once, where the gateway would go on for a client that may come back."""
        left = bool(self.stream_id) and self.resumable and not self.over
        self.over = True
        return left

    def wait(self, failed: Any) -> float:
        """Seconds until the next try, after a failed call; raises its error when there is none."""
        error = from_rpc(failed)
        try:
            if self.stream_id and not (self.resumable and error.lost):
                raise error
            seconds = self.tries.wait(error, self.repeatable or bool(self.stream_id))
        except BaseException:
            self.over = True
            raise
        self.resumes += 1 if self.stream_id else 0
        return seconds


class ChatStream:
    """The events of an answer as it is written.

    Iterate over it for events, over `text()` for text alone, or `collect()` the whole answer. A lost connection is taken
    up where it broke, for a minute or the chat's `resume_window`; one of 0 turns that off. Leaving it early, by `break`
    in a `with` block or by `close()`, ends the call.
    """

    def __init__(self, chat: v1.Chat, tries: Tries, open_: Callable[[Progress], Any], cancel: Callable[[str], None]) -> None:
        self._progress, self._open, self._cancel = Progress(chat, tries), open_, cancel
        self._call: Any = None
        self._fold = Fold()

    @property
    def stream_id(self) -> str:
        """Identifies the stream. Empty until its first event."""
        return self._progress.stream_id

    @property
    def resumes(self) -> int:
        """How often a lost connection was taken up."""
        return self._progress.resumes

    def __iter__(self) -> Iterator[v1.StreamEvent]:
        return self

    def __next__(self) -> v1.StreamEvent:
        while True:
            if self._call is None:
                self._call = iter(self._open(self._progress))
            try:
                event: v1.StreamEvent = next(self._call).event
            except StopIteration:
                self._progress.over = True
                raise
            except grpc.RpcError as failed:
                self._call = None
                time.sleep(self._progress.wait(failed))
                continue
            if self._progress.seen(event):
                self._fold.add(event)
                return event

    def text(self, choice: int = 0) -> Iterator[str]:
        """The pieces of text of one answer."""
        for event in self:
            if event.choice == choice and event.WhichOneof("kind") == "text":
                yield event.text

    def collect(self) -> Reply:
        """Reads to the end; the whole answer, with what was read before."""
        for _ in self:
            pass
        return self.so_far

    @property
    def so_far(self) -> Reply:
        """The answer as far as it was read."""
        return Reply(self._fold.reply)

    def cancel(self) -> None:
        """Ends the stream at the gateway, also one with a `resume_window`."""
        if self.stream_id:
            self._progress.over = True
            self._cancel(self.stream_id)
        self.close()

    def close(self) -> None:
        """Leaves the stream, and ends its call."""
        if self._call is not None:
            self._call.cancel()
        if self._progress.leave():
            try:
                self._cancel(self.stream_id)
            except HeadworksError:
                pass  # It is over, or ends with its window.

    def __enter__(self) -> "ChatStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
