"""Headworks: a client of the gateway to language models."""

from . import errors, v1
from ._client import AsyncHeadworks, Headworks
from ._paging import AsyncPager, Pager
from ._runtime import CallOptions
from ._version import __version__
from .errors import FieldViolation, HeadworksError, Reason
from .money import nano_usd, usd
from ._async_chat import AsyncChatStream
from ._chat import ChatStream, Reply, arguments, assistant, function, image, json_schema, system, tool_result, user

__all__ = [
    "AsyncHeadworks",
    "AsyncPager",
    "CallOptions",
    "FieldViolation",
    "Headworks",
    "HeadworksError",
    "Pager",
    "Reason",
    "__version__",
    "errors",
    "nano_usd",
    "usd",
    "v1",
    "AsyncChatStream",
    "ChatStream",
    "Reply",
    "arguments",
    "assistant",
    "function",
    "image",
    "json_schema",
    "system",
    "tool_result",
    "user",
]
