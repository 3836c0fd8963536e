"""Lists that fetch their pages as they are walked."""

from __future__ import annotations

from typing import Any, AsyncIterator, Awaitable, Callable, Generic, Iterator, Sequence, TypeVar

T = TypeVar("T")
P = TypeVar("P")


class Pager(Generic[T, P]):
    """Iterates over all items; `pages()` over the answers that hold them."""

    def __init__(self, fetch: Callable[[str], P], items: Callable[[P], Sequence[T]], token: str) -> None:
        self._fetch, self._items, self._token = fetch, items, token

    def pages(self) -> Iterator[P]:
        token = self._token
        while True:
            page: Any = self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from self._items(page)


class AsyncPager(Generic[T, P]):
    """Iterates over all items; `pages()` over the answers that hold them."""

    def __init__(self, fetch: Callable[[str], Awaitable[P]], items: Callable[[P], Sequence[T]], token: str) -> None:
        self._fetch, self._items, self._token = fetch, items, token

    async def pages(self) -> AsyncIterator[P]:
        token = self._token
        while True:
            page: Any = await self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in self._items(page):
                yield item
