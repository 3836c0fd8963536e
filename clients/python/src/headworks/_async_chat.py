"""Streams for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Awaitable, Callable

import grpc.aio

from . import v1
from ._chat import Fold, Progress, Reply
from ._runtime import Tries
from .errors import HeadworksError


class AsyncChatStream:
    """The events of an answer as it is written; `ChatStream` for asyncio."""

    def __init__(self, chat: v1.Chat, tries: Tries, open_: Callable[[Progress], Any], cancel: Callable[[str], Awaitable[None]]) -> None:
        self._progress, self._open, self._cancel = Progress(chat, tries), open_, cancel
        self._call: Any = None
        self._events: Any = None
        self._leaving: asyncio.Future[None] | None = None
        self._fold = Fold()

    @property
    def stream_id(self) -> str:
        """Identifies the stream. Empty until its first event."""
        return self._progress.stream_id

    @property
    def resumes(self) -> int:
        """How often a lost connection was taken up."""
        return self._progress.resumes

    def __aiter__(self) -> AsyncIterator[v1.StreamEvent]:
        return self

    async def __anext__(self) -> v1.StreamEvent:
        while True:
            if self._call is None:
                self._call = self._open(self._progress)
                self._events = self._call.__aiter__()
            try:
                event: v1.StreamEvent = (await self._events.__anext__()).event
            except StopAsyncIteration:
                self._progress.over = True
                raise
            except grpc.aio.AioRpcError as failed:
                self._call = None
                await asyncio.sleep(self._progress.wait(failed))
                continue
            if self._progress.seen(event):
                self._fold.add(event)
                return event

    async def text(self, choice: int = 0) -> AsyncIterator[str]:
        """The pieces of text of one answer."""
        async for event in self:
            if event.choice == choice and event.WhichOneof("kind") == "text":
                yield event.text

    async def collect(self) -> Reply:
        """Reads to the end; the whole answer, with what was read before."""
        async for _ in self:
            pass
        return self.so_far

    @property
    def so_far(self) -> Reply:
        """The answer as far as it was read."""
        return Reply(self._fold.reply)

    async def cancel(self) -> None:
        """Ends the stream at the gateway, also one with a `resume_window`."""
        if self.stream_id:
            self._progress.over = True
            await self._cancel(self.stream_id)
        self.close()

    def close(self) -> None:
        """Leaves the stream, and ends its call."""
        if self._call is not None:
            self._call.cancel()
        if self._progress.leave():
            self._leaving = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        try:
            await self._cancel(self.stream_id)
        except HeadworksError:
            pass  # It is over, or ends with its window.

    async def __aenter__(self) -> "AsyncChatStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        if self._leaving is not None:
            await self._leaving
