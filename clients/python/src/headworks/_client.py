"""The clients."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, Mapping, Sequence

import grpc

from . import v1
from ._async_services import AsyncChat, AsyncEmbeddings, AsyncKeys, AsyncPolicies, AsyncModels, AsyncStreams, AsyncUsage
from ._runtime import CallOptions, Tries, build, AsyncTransport, Settings, Transport, user_agent
from ._services import Chat, Embeddings, Keys, Policies, Models, Streams, Usage
from ._async_chat import AsyncChatStream
from ._chat import ChatStream, Progress, Reply

__all__ = ["AsyncHeadworks", "Headworks"]


def _settings(base_url: str | None, api_key: str | None, timeout: timedelta | float, max_retries: int, agent: str) -> tuple[str, Settings]:
    url = base_url or os.environ.get("HEADWORKS_URL") or "http://127.0.0.1:8080"
    key = api_key if api_key is not None else os.environ.get("HEADWORKS_API_KEY", "")
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    return url, Settings(key, seconds, max_retries, user_agent(agent))


class Headworks:
    """A client of the gateway. Safe to share; close it, or use it as a context manager.

    `base_url` is the gateway (default `HEADWORKS_URL`, then http://127.0.0.1:8080), `api_key` its key (default
    `HEADWORKS_API_KEY`), `timeout` the deadline of each call, `max_retries` the tries after a failure that another try
    can help. `credentials` are gRPC's own, for a private authority or a client certificate.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: timedelta | float = 600,
        max_retries: int = 2,
        user_agent: str = "",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        url, settings = _settings(base_url, api_key, timeout, max_retries, user_agent)
        self._transport = Transport(url, settings, credentials)
        self.chat = Chat(self._transport)
        self.embeddings = Embeddings(self._transport)
        self.keys = Keys(self._transport)
        self.policies = Policies(self._transport)
        self.models = Models(self._transport)
        self.streams = Streams(self._transport)
        self.usage = Usage(self._transport)

    def close(self) -> None:
        """Closes the connection."""
        self._transport.channel.close()

    def __enter__(self) -> "Headworks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def complete(
        self,
        *,
        model: str | None = None,
        messages: Sequence[v1.Message] | None = None,
        tools: Sequence[v1.Tool] | None = None,
        tool_choice: v1.ToolChoice | None = None,
        parallel_tool_calls: bool | None = None,
        sampling: v1.Sampling | None = None,
        output: v1.OutputFormat | None = None,
        reasoning: v1.ReasoningOptions | None = None,
        auto_cache: bool | None = None,
        cache_ttl: v1.CacheTtl.ValueType | None = None,
        metadata: Mapping[str, str] | None = None,
        service_tier: str | None = None,
        user: str | None = None,
        routing: v1.Routing | None = None,
        extra_json: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
        user_id: str | None = None,
        trace_id: str | None = None,
        request_id: str | None = None,
        resume_window: timedelta | None = None,
        timeout: timedelta | None = None,
        citations: bool | None = None,
        options: CallOptions | None = None,
    ) -> Reply:
        """Answers a chat in one piece. The arguments are the fields of `Chat`."""
        answer = self.chat.complete(
            model=model,
            messages=messages,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            sampling=sampling,
            output=output,
            reasoning=reasoning,
            auto_cache=auto_cache,
            cache_ttl=cache_ttl,
            metadata=metadata,
            service_tier=service_tier,
            user=user,
            routing=routing,
            extra_json=extra_json,
            tags=tags,
            user_id=user_id,
            trace_id=trace_id,
            request_id=request_id,
            resume_window=resume_window,
            timeout=timeout,
            citations=citations,
            options=options,
        )
        return Reply(answer.reply)

    def stream(
        self,
        *,
        model: str | None = None,
        messages: Sequence[v1.Message] | None = None,
        tools: Sequence[v1.Tool] | None = None,
        tool_choice: v1.ToolChoice | None = None,
        parallel_tool_calls: bool | None = None,
        sampling: v1.Sampling | None = None,
        output: v1.OutputFormat | None = None,
        reasoning: v1.ReasoningOptions | None = None,
        auto_cache: bool | None = None,
        cache_ttl: v1.CacheTtl.ValueType | None = None,
        metadata: Mapping[str, str] | None = None,
        service_tier: str | None = None,
        user: str | None = None,
        routing: v1.Routing | None = None,
        extra_json: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
        user_id: str | None = None,
        trace_id: str | None = None,
        request_id: str | None = None,
        resume_window: timedelta | None = None,
        timeout: timedelta | None = None,
        citations: bool | None = None,
        options: CallOptions | None = None,
    ) -> ChatStream:
        """Answers a chat as it is written. The arguments are the fields of `Chat`."""
        chat = build(
            v1.Chat,
            {
                "model": model,
                "messages": messages,
                "tools": tools,
                "tool_choice": tool_choice,
                "parallel_tool_calls": parallel_tool_calls,
                "sampling": sampling,
                "output": output,
                "reasoning": reasoning,
                "auto_cache": auto_cache,
                "cache_ttl": cache_ttl,
                "metadata": metadata,
                "service_tier": service_tier,
                "user": user,
                "routing": routing,
                "extra_json": extra_json,
                "tags": tags,
                "user_id": user_id,
                "trace_id": trace_id,
                "request_id": request_id,
                "resume_window": resume_window,
                "timeout": timeout,
                "citations": citations,
            },
        )
        transport = self._transport
        settings = transport.settings
        tries = Tries(settings.retries(options), settings.seconds(options))

        def open_(progress: Progress) -> Any:
            if progress.stream_id:
                rest = v1.ResumeRequest(stream_id=progress.stream_id, after_sequence=progress.sequence)
                return transport.open("/headworks.v1.StreamService/Resume", rest, v1.ResumeResponse, tries.left(), options)
            request = v1.StreamRequest(chat=chat)
            return transport.open("/headworks.v1.StreamService/Stream", request, v1.StreamResponse, tries.left(), options)

        def cancel(stream_id: str) -> None:
            self.streams.cancel(stream_id=stream_id)

        return ChatStream(chat, tries, open_, cancel)


class AsyncHeadworks:
    """A client of the gateway, for asyncio. Safe to share; close it, or use it as a context manager.

    `base_url` is the gateway (default `HEADWORKS_URL`, then http://127.0.0.1:8080), `api_key` its key (default
    `HEADWORKS_API_KEY`), `timeout` the deadline of each call, `max_retries` the tries after a failure that another try
    can help. `credentials` are gRPC's own, for a private authority or a client certificate.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: timedelta | float = 600,
        max_retries: int = 2,
        user_agent: str = "",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        url, settings = _settings(base_url, api_key, timeout, max_retries, user_agent)
        self._transport = AsyncTransport(url, settings, credentials)
        self.chat = AsyncChat(self._transport)
        self.embeddings = AsyncEmbeddings(self._transport)
        self.keys = AsyncKeys(self._transport)
        self.policies = AsyncPolicies(self._transport)
        self.models = AsyncModels(self._transport)
        self.streams = AsyncStreams(self._transport)
        self.usage = AsyncUsage(self._transport)

    async def close(self) -> None:
        """Closes the connection."""
        await self._transport.channel.close()

    async def __aenter__(self) -> "AsyncHeadworks":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def complete(
        self,
        *,
        model: str | None = None,
        messages: Sequence[v1.Message] | None = None,
        tools: Sequence[v1.Tool] | None = None,
        tool_choice: v1.ToolChoice | None = None,
        parallel_tool_calls: bool | None = None,
        sampling: v1.Sampling | None = None,
        output: v1.OutputFormat | None = None,
        reasoning: v1.ReasoningOptions | None = None,
        auto_cache: bool | None = None,
        cache_ttl: v1.CacheTtl.ValueType | None = None,
        metadata: Mapping[str, str] | None = None,
        service_tier: str | None = None,
        user: str | None = None,
        routing: v1.Routing | None = None,
        extra_json: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
        user_id: str | None = None,
        trace_id: str | None = None,
        request_id: str | None = None,
        resume_window: timedelta | None = None,
        timeout: timedelta | None = None,
        citations: bool | None = None,
        options: CallOptions | None = None,
    ) -> Reply:
        """Answers a chat in one piece. The arguments are the fields of `Chat`."""
        answer = await self.chat.complete(
            model=model,
            messages=messages,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            sampling=sampling,
            output=output,
            reasoning=reasoning,
            auto_cache=auto_cache,
            cache_ttl=cache_ttl,
            metadata=metadata,
            service_tier=service_tier,
            user=user,
            routing=routing,
            extra_json=extra_json,
            tags=tags,
            user_id=user_id,
            trace_id=trace_id,
            request_id=request_id,
            resume_window=resume_window,
            timeout=timeout,
            citations=citations,
            options=options,
        )
        return Reply(answer.reply)

    def stream(
        self,
        *,
        model: str | None = None,
        messages: Sequence[v1.Message] | None = None,
        tools: Sequence[v1.Tool] | None = None,
        tool_choice: v1.ToolChoice | None = None,
        parallel_tool_calls: bool | None = None,
        sampling: v1.Sampling | None = None,
        output: v1.OutputFormat | None = None,
        reasoning: v1.ReasoningOptions | None = None,
        auto_cache: bool | None = None,
        cache_ttl: v1.CacheTtl.ValueType | None = None,
        metadata: Mapping[str, str] | None = None,
        service_tier: str | None = None,
        user: str | None = None,
        routing: v1.Routing | None = None,
        extra_json: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
        user_id: str | None = None,
        trace_id: str | None = None,
        request_id: str | None = None,
        resume_window: timedelta | None = None,
        timeout: timedelta | None = None,
        citations: bool | None = None,
        options: CallOptions | None = None,
    ) -> AsyncChatStream:
        """Answers a chat as it is written. The arguments are the fields of `Chat`."""
        chat = build(
            v1.Chat,
            {
                "model": model,
                "messages": messages,
                "tools": tools,
                "tool_choice": tool_choice,
                "parallel_tool_calls": parallel_tool_calls,
                "sampling": sampling,
                "output": output,
                "reasoning": reasoning,
                "auto_cache": auto_cache,
                "cache_ttl": cache_ttl,
                "metadata": metadata,
                "service_tier": service_tier,
                "user": user,
                "routing": routing,
                "extra_json": extra_json,
                "tags": tags,
                "user_id": user_id,
                "trace_id": trace_id,
                "request_id": request_id,
                "resume_window": resume_window,
                "timeout": timeout,
                "citations": citations,
            },
        )
        transport = self._transport
        settings = transport.settings
        tries = Tries(settings.retries(options), settings.seconds(options))

        def open_(progress: Progress) -> Any:
            if progress.stream_id:
                rest = v1.ResumeRequest(stream_id=progress.stream_id, after_sequence=progress.sequence)
                return transport.open("/headworks.v1.StreamService/Resume", rest, v1.ResumeResponse, tries.left(), options)
            request = v1.StreamRequest(chat=chat)
            return transport.open("/headworks.v1.StreamService/Stream", request, v1.StreamResponse, tries.left(), options)

        async def cancel(stream_id: str) -> None:
            await self.streams.cancel(stream_id=stream_id)

        return AsyncChatStream(chat, tries, open_, cancel)
