"""Channels, deadlines and retries. Knows nothing of the schema."""

from __future__ import annotations

import asyncio
import platform
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, AsyncIterator, Iterator, Mapping, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from ._version import __version__
from .errors import HeadworksError, from_rpc

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

MESSAGE_LIMIT = 64 << 20
RETRIED = frozenset({"RATE_LIMITED", "OVERLOADED", "ALL_TARGETS_FAILED", "INTERNAL"})


@dataclass(frozen=True)
class CallOptions:
    """How one call is made, where it differs from the client's ways."""

    timeout: timedelta | float | None = None
    """Deadline of the whole call, retries included; seconds or a timedelta."""
    max_retries: int | None = None
    """Tries after the first."""
    metadata: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    """More metadata to send."""


@dataclass(frozen=True)
class Settings:
    """The client's ways."""

    api_key: str
    timeout: float
    max_retries: int
    user_agent: str

    def seconds(self, options: CallOptions | None) -> float:
        given = options.timeout if options else None
        if given is None:
            return self.timeout
        return given.total_seconds() if isinstance(given, timedelta) else float(given)

    def retries(self, options: CallOptions | None) -> int:
        given = options.max_retries if options else None
        return self.max_retries if given is None else given

    def metadata(self, options: CallOptions | None) -> tuple[tuple[str, str], ...]:
        more = options.metadata if options else {}
        key = (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()
        return (*key, *((name.lower(), value) for name, value in more.items()))


def user_agent(more: str) -> str:
    ours = f"headworks-python/{__version__} python/{platform.python_version()}"
    return f"{more} {ours}" if more else ours


def address(base_url: str) -> tuple[str, bool]:
    """`host:port` and whether it is TLS."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"base_url {base_url!r} is not like http://127.0.0.1:8080 or https://gateway.example")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}", parts.scheme == "https"


def channel_options(agent: str) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT),
        ("grpc.max_send_message_length", MESSAGE_LIMIT),
        ("grpc.primary_user_agent", agent),
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 60_000),
    ]


def build(kind: type[Q], fields: Mapping[str, Any]) -> Q:
    """A message of the fields that were given."""
    message = kind()
    for name, value in fields.items():
        if value is None:
            continue
        wanted = kind.DESCRIPTOR.fields_by_name[name].message_type
        if wanted is not None and wanted.full_name == "google.protobuf.FieldMask" and not isinstance(value, FieldMask):
            getattr(message, name).paths.extend(value)
        elif isinstance(value, timedelta):
            getattr(message, name).FromTimedelta(value)
        elif isinstance(value, datetime):
            getattr(message, name).FromDatetime(value)
        elif isinstance(value, Message):
            getattr(message, name).CopyFrom(value)
        elif isinstance(value, Mapping):
            entry = wanted.fields_by_name["value"] if wanted is not None else None
            for key, one in value.items():
                if entry is not None and entry.message_type is not None:
                    getattr(message, name)[key].CopyFrom(one)
                else:
                    getattr(message, name)[key] = one
        elif isinstance(value, (list, tuple)) or (not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return message


class Tries:
    """Counts the tries of one call and says how long to wait for the next."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.made, self.end = limit, 0, time.monotonic() + seconds

    def left(self) -> float:
        return max(self.end - time.monotonic(), 0.001)

    def wait(self, error: HeadworksError, idempotent: bool) -> float:
        """Seconds until the next try; raises the error when there is none."""
        limit = min(self.limit, 1) if error.reason == "INTERNAL" else self.limit
        again = (idempotent and error.lost) or (error.from_gateway and error.reason in RETRIED and error.retryable)
        if error.no_retry or not again or self.made >= limit:
            raise error
        self.made += 1
        backoff = min(0.2 * 2 ** (self.made - 1), 8.0) * random.uniform(0.75, 1.25)
        seconds = error.retry_after.total_seconds() if error.retry_after else backoff
        if seconds >= self.left():
            raise error
        return seconds


class Transport:
    """A channel with the client's ways."""

    def __init__(self, base_url: str, settings: Settings, credentials: grpc.ChannelCredentials | None) -> None:
        target, tls = address(base_url)
        self.settings = settings
        options = channel_options(settings.user_agent)
        if tls or credentials is not None:
            self.channel = grpc.secure_channel(target, credentials or grpc.ssl_channel_credentials(), options)
        else:
            self.channel = grpc.insecure_channel(target, options)

    def unary(self, path: str, request: Message, answer: type[R], idempotent: bool, options: CallOptions | None) -> R:
        call = self.channel.unary_unary(path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString)
        tries = Tries(self.settings.retries(options), self.settings.seconds(options))
        while True:
            try:
                return call(request, timeout=tries.left(), metadata=self.settings.metadata(options))
            except grpc.RpcError as failed:
                error = from_rpc(failed)
            time.sleep(tries.wait(error, idempotent))

    def open(self, path: str, request: Message, answer: type[R], seconds: float, options: CallOptions | None) -> Any:
        """One try of a streaming call: gRPC's own call object, an iterator of answers."""
        call = self.channel.unary_stream(path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString)
        return call(request, timeout=seconds, metadata=self.settings.metadata(options))

    def stream(self, path: str, request: Message, answer: type[R], idempotent: bool, options: CallOptions | None) -> Iterator[R]:
        tries = Tries(self.settings.retries(options), self.settings.seconds(options))
        begun = False
        while True:
            call = self.open(path, request, answer, tries.left(), options)
            try:
                for one in call:
                    begun = True
                    yield one
                return
            except grpc.RpcError as failed:
                error = from_rpc(failed)
            finally:
                call.cancel()
            if begun:
                raise error
            time.sleep(tries.wait(error, idempotent))


class AsyncTransport:
    """A channel with the client's ways, for asyncio."""

    def __init__(self, base_url: str, settings: Settings, credentials: grpc.ChannelCredentials | None) -> None:
        target, tls = address(base_url)
        self.settings = settings
        options = channel_options(settings.user_agent)
        if tls or credentials is not None:
            self.channel = grpc.aio.secure_channel(target, credentials or grpc.ssl_channel_credentials(), options)
        else:
            self.channel = grpc.aio.insecure_channel(target, options)

    async def unary(self, path: str, request: Message, answer: type[R], idempotent: bool, options: CallOptions | None) -> R:
        call: Any = self.channel.unary_unary(path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString)
        tries = Tries(self.settings.retries(options), self.settings.seconds(options))
        while True:
            try:
                reply: R = await call(request, timeout=tries.left(), metadata=self.settings.metadata(options))
                return reply
            except grpc.aio.AioRpcError as failed:
                error = from_rpc(failed)
            await asyncio.sleep(tries.wait(error, idempotent))

    def open(self, path: str, request: Message, answer: type[R], seconds: float, options: CallOptions | None) -> Any:
        """One try of a streaming call: gRPC's own call object, an async iterator of answers."""
        call: Any = self.channel.unary_stream(path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString)
        return call(request, timeout=seconds, metadata=self.settings.metadata(options))

    async def stream(self, path: str, request: Message, answer: type[R], idempotent: bool, options: CallOptions | None) -> AsyncIterator[R]:
        tries = Tries(self.settings.retries(options), self.settings.seconds(options))
        begun = False
        while True:
            call = self.open(path, request, answer, tries.left(), options)
            try:
                async for one in call:
                    begun = True
                    yield one
                return
            except grpc.aio.AioRpcError as failed:
                error = from_rpc(failed)
            finally:
                call.cancel()
            if begun:
                raise error
            await asyncio.sleep(tries.wait(error, idempotent))
