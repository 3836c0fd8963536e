"""One class per service of `headworks.v1`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Iterator, Mapping, Sequence

from typing_extensions import deprecated

from . import v1
from ._paging import Pager
from ._runtime import CallOptions, Transport, build

__all__ = ["Chat", "Embeddings", "Keys", "Policies", "Models", "Streams", "Usage"]


class Chat:
    """Answers chats in one piece."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
    ) -> v1.CompleteResponse:
        """Answers a chat. Needs the role CALLER. The initial metadata carry `headworks-request-id`; the trailers carry
        `headworks-request-id`, `headworks-provider`, `headworks-model`, `headworks-attempts` and `headworks-cost-usd`.
        Errors: INVALID_REQUEST with field violations, MODEL_NOT_FOUND, MODEL_FORBIDDEN, REGION_FORBIDDEN,
        CONTEXT_TOO_LONG, CAPABILITY_MISSING, RATE_LIMITED, BUDGET_EXCEEDED, COST_UNBOUNDED, PRICE_UNKNOWN,
        UPSTREAM_CREDENTIALS, UPSTREAM_REJECTED, ALL_TARGETS_FAILED, TIMEOUT, OVERLOADED, NOT_IMPLEMENTED."""
        chat_ = build(
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
        request_ = build(v1.CompleteRequest, {"chat": chat_})
        return self._transport.unary("/headworks.v1.ChatService/Complete", request_, v1.CompleteResponse, bool(request_id), options)


class Embeddings:
    """Turns texts into vectors."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def embed(
        self,
        *,
        model: str | None = None,
        inputs: Sequence[str] | None = None,
        dimensions: int | None = None,
        request_id: str | None = None,
        token_inputs: Sequence[v1.TokenInput] | None = None,
        input_type: str | None = None,
        routing: v1.Routing | None = None,
        extra_json: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        user: str | None = None,
        tags: Sequence[str] | None = None,
        user_id: str | None = None,
        trace_id: str | None = None,
        timeout: timedelta | None = None,
        options: CallOptions | None = None,
    ) -> v1.EmbedResponse:
        """Embeds texts. Needs the role CALLER. More inputs than the provider takes at once are sent in pieces and
        answered as one call. Falls back only to another host of the same model: vectors of two models cannot be compared.
        Errors: those of `ChatService.Complete`."""
        request_ = build(
            v1.EmbedRequest,
            {
                "model": model,
                "inputs": inputs,
                "dimensions": dimensions,
                "request_id": request_id,
                "token_inputs": token_inputs,
                "input_type": input_type,
                "routing": routing,
                "extra_json": extra_json,
                "metadata": metadata,
                "user": user,
                "tags": tags,
                "user_id": user_id,
                "trace_id": trace_id,
                "timeout": timeout,
            },
        )
        return self._transport.unary("/headworks.v1.EmbeddingService/Embed", request_, v1.EmbedResponse, bool(request_id), options)


class Keys:
    """Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
    itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
    belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
    group but does not change it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create_key(
        self,
        *,
        key: v1.Key | None = None,
        options: CallOptions | None = None,
    ) -> v1.CreateKeyResponse:
        """Makes a key. Its secret is in this answer and nowhere else.
        Errors: INVALID_REQUEST, NOT_FOUND for an unknown group, PERMISSION_DENIED."""
        request_ = build(
            v1.CreateKeyRequest,
            {
                "key": key,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/CreateKey", request_, v1.CreateKeyResponse, False, options)

    def get_key(
        self,
        *,
        id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.GetKeyResponse:
        """Gets a key. A key may always get itself, by the id `self` too.
        Errors: NOT_FOUND, also for a key that the caller may not see."""
        request_ = build(
            v1.GetKeyRequest,
            {
                "id": id,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/GetKey", request_, v1.GetKeyResponse, True, options)

    def list_keys(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        include_inactive: bool | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Key, v1.ListKeysResponse]:
        """Lists keys, by id.
        Errors: INVALID_REQUEST, PERMISSION_DENIED."""
        request_ = build(
            v1.ListKeysRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
                "include_inactive": include_inactive,
            },
        )

        def fetch(token: str) -> v1.ListKeysResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.KeyService/ListKeys", request_, v1.ListKeysResponse, True, options)

        return Pager(fetch, lambda page: page.keys, request_.page_token)

    def update_key(
        self,
        *,
        key: v1.Key | None = None,
        update_mask: Sequence[str] | None = None,
        options: CallOptions | None = None,
    ) -> v1.UpdateKeyResponse:
        """Changes a key. Effective for the next call.
        Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for an unknown path, PERMISSION_DENIED."""
        request_ = build(
            v1.UpdateKeyRequest,
            {
                "key": key,
                "update_mask": update_mask,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/UpdateKey", request_, v1.UpdateKeyResponse, False, options)

    def rotate_key(
        self,
        *,
        id: str | None = None,
        overlap: timedelta | None = None,
        options: CallOptions | None = None,
    ) -> v1.RotateKeyResponse:
        """Gives a key a new secret; the old one works on for a while. What the key spent stays with it.
        Errors: NOT_FOUND, CONFLICT for a revoked key, INVALID_REQUEST, PERMISSION_DENIED."""
        request_ = build(
            v1.RotateKeyRequest,
            {
                "id": id,
                "overlap": overlap,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/RotateKey", request_, v1.RotateKeyResponse, False, options)

    def revoke_key(
        self,
        *,
        id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.RevokeKeyResponse:
        """Ends a key for good. Effective for the next call.
        Errors: NOT_FOUND, PERMISSION_DENIED. Revoking twice is no error."""
        request_ = build(
            v1.RevokeKeyRequest,
            {
                "id": id,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/RevokeKey", request_, v1.RevokeKeyResponse, True, options)

    def create_group(
        self,
        *,
        group: v1.Group | None = None,
        options: CallOptions | None = None,
    ) -> v1.CreateGroupResponse:
        """Makes a group.
        Errors: INVALID_REQUEST, NOT_FOUND for an unknown parent, PERMISSION_DENIED."""
        request_ = build(
            v1.CreateGroupRequest,
            {
                "group": group,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/CreateGroup", request_, v1.CreateGroupResponse, False, options)

    def get_group(
        self,
        *,
        id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.GetGroupResponse:
        """Gets a group.
        Errors: NOT_FOUND, PERMISSION_DENIED."""
        request_ = build(
            v1.GetGroupRequest,
            {
                "id": id,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/GetGroup", request_, v1.GetGroupResponse, True, options)

    def list_groups(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        parent: str | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Group, v1.ListGroupsResponse]:
        """Lists groups, by id.
        Errors: INVALID_REQUEST, PERMISSION_DENIED."""
        request_ = build(
            v1.ListGroupsRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
                "parent": parent,
            },
        )

        def fetch(token: str) -> v1.ListGroupsResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.KeyService/ListGroups", request_, v1.ListGroupsResponse, True, options)

        return Pager(fetch, lambda page: page.groups, request_.page_token)

    def update_group(
        self,
        *,
        group: v1.Group | None = None,
        update_mask: Sequence[str] | None = None,
        options: CallOptions | None = None,
    ) -> v1.UpdateGroupResponse:
        """Changes a group. Effective for the next call of every key in it.
        Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for a circle of groups or an unknown path, PERMISSION_DENIED."""
        request_ = build(
            v1.UpdateGroupRequest,
            {
                "group": group,
                "update_mask": update_mask,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/UpdateGroup", request_, v1.UpdateGroupResponse, False, options)

    def delete_group(
        self,
        *,
        id: str | None = None,
        etag: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.DeleteGroupResponse:
        """Deletes a group. Revoked keys in it lose their group.
        Errors: NOT_FOUND, CONFLICT if the etag is old or keys or groups are still in it, PERMISSION_DENIED."""
        request_ = build(
            v1.DeleteGroupRequest,
            {
                "id": id,
                "etag": etag,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/DeleteGroup", request_, v1.DeleteGroupResponse, False, options)

    def get_budget(
        self,
        *,
        key_id: str | None = None,
        group_id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.GetBudgetResponse:
        """Gets what is left of a key's or group's budget. A key may always ask for its own.
        Errors: NOT_FOUND, INVALID_REQUEST."""
        request_ = build(
            v1.GetBudgetRequest,
            {
                "key_id": key_id,
                "group_id": group_id,
            },
        )
        return self._transport.unary("/headworks.v1.KeyService/GetBudget", request_, v1.GetBudgetResponse, True, options)

    def list_alerts(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        key_id: str | None = None,
        group_id: str | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Alert, v1.ListAlertsResponse]:
        """Lists crossings of budgets' thresholds, newest first. A key without a role to read others sees its own.
        Errors: INVALID_REQUEST."""
        request_ = build(
            v1.ListAlertsRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
                "key_id": key_id,
                "group_id": group_id,
            },
        )

        def fetch(token: str) -> v1.ListAlertsResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.KeyService/ListAlerts", request_, v1.ListAlertsResponse, True, options)

        return Pager(fetch, lambda page: page.alerts, request_.page_token)

    def watch_alerts(
        self,
        *,
        options: CallOptions | None = None,
    ) -> Iterator[v1.WatchAlertsResponse]:
        """Tells of crossings of budgets' thresholds as they happen. A key without a role to read others sees its own.
        Errors: OVERLOADED where the caller reads too slowly."""
        request_ = build(
            v1.WatchAlertsRequest,
            {
            },
        )
        return self._transport.stream("/headworks.v1.KeyService/WatchAlerts", request_, v1.WatchAlertsResponse, True, options)


class Policies:
    """Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
    read, KEY_MANAGER or READER will do, and to explain and simulate, READER."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create_policy(
        self,
        *,
        policy: v1.Policy | None = None,
        options: CallOptions | None = None,
    ) -> v1.CreatePolicyResponse:
        """Makes a policy, to be asked for as `policy/NAME`.
        Errors: ALREADY_EXISTS, INVALID_REQUEST with the field, NOT_IMPLEMENTED for what this version does not serve."""
        request_ = build(
            v1.CreatePolicyRequest,
            {
                "policy": policy,
            },
        )
        return self._transport.unary("/headworks.v1.PolicyService/CreatePolicy", request_, v1.CreatePolicyResponse, False, options)

    def get_policy(
        self,
        *,
        name: str | None = None,
        version: int | None = None,
        options: CallOptions | None = None,
    ) -> v1.GetPolicyResponse:
        """Gets a policy, or an earlier version of it.
        Errors: NOT_FOUND."""
        request_ = build(
            v1.GetPolicyRequest,
            {
                "name": name,
                "version": version,
            },
        )
        return self._transport.unary("/headworks.v1.PolicyService/GetPolicy", request_, v1.GetPolicyResponse, True, options)

    def list_policies(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Policy, v1.ListPoliciesResponse]:
        """Lists policies, by name.
        Errors: INVALID_REQUEST."""
        request_ = build(
            v1.ListPoliciesRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
            },
        )

        def fetch(token: str) -> v1.ListPoliciesResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.PolicyService/ListPolicies", request_, v1.ListPoliciesResponse, True, options)

        return Pager(fetch, lambda page: page.policies, request_.page_token)

    def list_policy_versions(
        self,
        *,
        name: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Policy, v1.ListPolicyVersionsResponse]:
        """Lists the versions of a policy, newest first. They outlive the policy.
        Errors: NOT_FOUND."""
        request_ = build(
            v1.ListPolicyVersionsRequest,
            {
                "name": name,
                "page_size": page_size,
                "page_token": page_token,
            },
        )

        def fetch(token: str) -> v1.ListPolicyVersionsResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.PolicyService/ListPolicyVersions", request_, v1.ListPolicyVersionsResponse, True, options)

        return Pager(fetch, lambda page: page.policies, request_.page_token)

    def update_policy(
        self,
        *,
        policy: v1.Policy | None = None,
        update_mask: Sequence[str] | None = None,
        options: CallOptions | None = None,
    ) -> v1.UpdatePolicyResponse:
        """Changes a policy. Effective for the next call.
        Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path."""
        request_ = build(
            v1.UpdatePolicyRequest,
            {
                "policy": policy,
                "update_mask": update_mask,
            },
        )
        return self._transport.unary("/headworks.v1.PolicyService/UpdatePolicy", request_, v1.UpdatePolicyResponse, False, options)

    def delete_policy(
        self,
        *,
        name: str | None = None,
        etag: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.DeletePolicyResponse:
        """Deletes a policy. Effective for the next call.
        Errors: NOT_FOUND, CONFLICT if the etag is old, or if a key, a group or another policy still names it."""
        request_ = build(
            v1.DeletePolicyRequest,
            {
                "name": name,
                "etag": etag,
            },
        )
        return self._transport.unary("/headworks.v1.PolicyService/DeletePolicy", request_, v1.DeletePolicyResponse, False, options)

    def explain_route(
        self,
        *,
        chat: v1.Chat | None = None,
        key_id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.ExplainRouteResponse:
        """Tells what would be tried for a chat and what was left out, and why; calls nobody. The way is that of a real call.
        Errors: INVALID_REQUEST, NOT_FOUND for a key. Where nothing would be tried, the answer says so."""
        request_ = build(
            v1.ExplainRouteRequest,
            {
                "chat": chat,
                "key_id": key_id,
            },
        )
        return self._transport.unary("/headworks.v1.PolicyService/ExplainRoute", request_, v1.ExplainRouteResponse, True, options)

    def simulate_policy(
        self,
        *,
        policy: v1.Policy | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        key_id: str | None = None,
        model: str | None = None,
        tag: str | None = None,
        max_requests: int | None = None,
        options: CallOptions | None = None,
    ) -> v1.SimulatePolicyResponse:
        """Replays recorded requests through a policy and tells what would have happened. Calls nobody.
        Errors: INVALID_REQUEST."""
        request_ = build(
            v1.SimulatePolicyRequest,
            {
                "policy": policy,
                "start_time": start_time,
                "end_time": end_time,
                "key_id": key_id,
                "model": model,
                "tag": tag,
                "max_requests": max_requests,
            },
        )
        return self._transport.unary("/headworks.v1.PolicyService/SimulatePolicy", request_, v1.SimulatePolicyResponse, True, options)


class Models:
    """Tells which models and providers there are, and what they would make of a request. Admins add models and change them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list_models(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        provider: str | None = None,
        capability: str | None = None,
        include_unavailable: bool | None = None,
        include_hidden: bool | None = None,
        origin: v1.ModelOrigin.ValueType | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Model, v1.ListModelsResponse]:
        """Lists models that the key may use, by id.
        Errors: INVALID_REQUEST for an unknown capability."""
        request_ = build(
            v1.ListModelsRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
                "provider": provider,
                "capability": capability,
                "include_unavailable": include_unavailable,
                "include_hidden": include_hidden,
                "origin": origin,
            },
        )

        def fetch(token: str) -> v1.ListModelsResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.ModelService/ListModels", request_, v1.ListModelsResponse, True, options)

        return Pager(fetch, lambda page: page.models, request_.page_token)

    def get_model(
        self,
        *,
        id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.GetModelResponse:
        """Gets one model by id, alias or bare name.
        Errors: MODEL_NOT_FOUND, also for a model that the key may not use."""
        request_ = build(
            v1.GetModelRequest,
            {
                "id": id,
            },
        )
        return self._transport.unary("/headworks.v1.ModelService/GetModel", request_, v1.GetModelResponse, True, options)

    def list_providers(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.Provider, v1.ListProvidersResponse]:
        """Lists providers, configured or not.
        Errors: INVALID_REQUEST."""
        request_ = build(
            v1.ListProvidersRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
            },
        )

        def fetch(token: str) -> v1.ListProvidersResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.ModelService/ListProviders", request_, v1.ListProvidersResponse, True, options)

        return Pager(fetch, lambda page: page.providers, request_.page_token)

    def check_chat(
        self,
        *,
        chat: v1.Chat | None = None,
        models: Sequence[str] | None = None,
        options: CallOptions | None = None,
    ) -> v1.CheckChatResponse:
        """Tells what each target would lose of a chat, and what would become of it; calls nobody. The judgement is that of a real call.
        Errors: INVALID_REQUEST, with the field."""
        request_ = build(
            v1.CheckChatRequest,
            {
                "chat": chat,
                "models": models,
            },
        )
        return self._transport.unary("/headworks.v1.ModelService/CheckChat", request_, v1.CheckChatResponse, False, options)

    def create_model(
        self,
        *,
        model: v1.Model | None = None,
        options: CallOptions | None = None,
    ) -> v1.CreateModelResponse:
        """Adds a model, or says something else of one that the catalogue or the configuration has: what is said here stands
        above both, field by field. Its provider must be known. Effective for the next call, and kept. Needs the role ADMIN.
        Errors: ALREADY_EXISTS if the API says something of it already, INVALID_REQUEST with the field, for a price that
        seems to be in another unit too."""
        request_ = build(
            v1.CreateModelRequest,
            {
                "model": model,
            },
        )
        return self._transport.unary("/headworks.v1.ModelService/CreateModel", request_, v1.CreateModelResponse, False, options)

    def update_model(
        self,
        *,
        model: v1.Model | None = None,
        update_mask: Sequence[str] | None = None,
        options: CallOptions | None = None,
    ) -> v1.UpdateModelResponse:
        """Changes what the API says of a model. Needs the role ADMIN.
        Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path."""
        request_ = build(
            v1.UpdateModelRequest,
            {
                "model": model,
                "update_mask": update_mask,
            },
        )
        return self._transport.unary("/headworks.v1.ModelService/UpdateModel", request_, v1.UpdateModelResponse, False, options)

    def delete_model(
        self,
        *,
        id: str | None = None,
        etag: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.DeleteModelResponse:
        """Takes back what the API says of a model: what the configuration and the catalogue say stands again, or it is gone.
        Needs the role ADMIN.
        Errors: NOT_FOUND, CONFLICT if the etag is old."""
        request_ = build(
            v1.DeleteModelRequest,
            {
                "id": id,
                "etag": etag,
            },
        )
        return self._transport.unary("/headworks.v1.ModelService/DeleteModel", request_, v1.DeleteModelResponse, False, options)


class Streams:
    """Answers chats as they are written."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
    ) -> Iterator[v1.StreamResponse]:
        """Answers a chat event by event. Needs the role CALLER. The initial metadata carry `headworks-request-id`,
        `headworks-stream-id` and, where the stream can be resumed, `headworks-resume-window-ms`; the trailers what those of `ChatService.Complete` carry. A stream that fails ends with a
        status; what came before it is a partial answer.
        Errors: those of `ChatService.Complete`, and STREAM_BROKEN once there was content."""
        chat_ = build(
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
        request_ = build(v1.StreamRequest, {"chat": chat_})
        return self._transport.stream("/headworks.v1.StreamService/Stream", request_, v1.StreamResponse, bool(request_id), options)

    def resume(
        self,
        *,
        stream_id: str | None = None,
        after_sequence: int | None = None,
        options: CallOptions | None = None,
    ) -> Iterator[v1.ResumeResponse]:
        """Goes on with a stream whose connection was lost, for as long as its `resume_window`. Only the key that began it
        may. Streams are kept in the memory of the node that began them; those begun at a REST door are read on there, by
        `GET /v1/streams/{id}` with the header `last-event-id`.
        Errors: STREAM_GONE; INVALID_REQUEST for an `after_sequence` beyond the end."""
        request_ = build(
            v1.ResumeRequest,
            {
                "stream_id": stream_id,
                "after_sequence": after_sequence,
            },
        )
        return self._transport.stream("/headworks.v1.StreamService/Resume", request_, v1.ResumeResponse, True, options)

    def cancel(
        self,
        *,
        stream_id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.CancelResponse:
        """Ends a stream; what was consumed is billed. Only the key that began it may.
        Errors: STREAM_GONE if it is not under way or is another key's."""
        request_ = build(
            v1.CancelRequest,
            {
                "stream_id": stream_id,
            },
        )
        return self._transport.unary("/headworks.v1.StreamService/Cancel", request_, v1.CancelResponse, True, options)


class Usage:
    """Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
    below, or all where it has no group; an admin all."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def query_usage(
        self,
        *,
        filter: v1.RequestFilter | None = None,
        group_by: Sequence[str] | None = None,
        interval: timedelta | None = None,
        metrics: Sequence[str] | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        step: v1.UsageStep.ValueType | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.UsageRow, v1.QueryUsageResponse]:
        """Sums over calls. Rows come by step, then by group. A call counts where it ended; tokens and money of an attempt
        that another came after count at that attempt's provider and model.
        Errors: INVALID_REQUEST for an unknown metric or group, PERMISSION_DENIED for another key's calls."""
        request_ = build(
            v1.QueryUsageRequest,
            {
                "filter": filter,
                "group_by": group_by,
                "interval": interval,
                "metrics": metrics,
                "page_size": page_size,
                "page_token": page_token,
                "step": step,
            },
        )

        def fetch(token: str) -> v1.QueryUsageResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.UsageService/QueryUsage", request_, v1.QueryUsageResponse, True, options)

        return Pager(fetch, lambda page: page.rows, request_.page_token)

    def list_requests(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        filter: v1.RequestFilter | None = None,
        options: CallOptions | None = None,
    ) -> Pager[v1.RequestRecord, v1.ListRequestsResponse]:
        """Lists calls, newest first.
        Errors: INVALID_REQUEST, PERMISSION_DENIED for another key's calls."""
        request_ = build(
            v1.ListRequestsRequest,
            {
                "page_size": page_size,
                "page_token": page_token,
                "filter": filter,
            },
        )

        def fetch(token: str) -> v1.ListRequestsResponse:
            request_.page_token = token
            return self._transport.unary("/headworks.v1.UsageService/ListRequests", request_, v1.ListRequestsResponse, True, options)

        return Pager(fetch, lambda page: page.requests, request_.page_token)

    def get_request(
        self,
        *,
        id: str | None = None,
        options: CallOptions | None = None,
    ) -> v1.GetRequestResponse:
        """Gets one call with every attempt.
        Errors: NOT_FOUND, also for a call that the caller may not see; a call's record lands when it ends."""
        request_ = build(
            v1.GetRequestRequest,
            {
                "id": id,
            },
        )
        return self._transport.unary("/headworks.v1.UsageService/GetRequest", request_, v1.GetRequestResponse, True, options)

    def watch_requests(
        self,
        *,
        filter: v1.RequestFilter | None = None,
        options: CallOptions | None = None,
    ) -> Iterator[v1.WatchRequestsResponse]:
        """Tells of calls once their records are on disk, from now on. A reader that is too slow misses calls and is told so
        by `missed_windows`.
        Errors: PERMISSION_DENIED for another key's calls."""
        request_ = build(
            v1.WatchRequestsRequest,
            {
                "filter": filter,
            },
        )
        return self._transport.stream("/headworks.v1.UsageService/WatchRequests", request_, v1.WatchRequestsResponse, True, options)

    def export_requests(
        self,
        *,
        filter: v1.RequestFilter | None = None,
        format: v1.ExportFormat.ValueType | None = None,
        options: CallOptions | None = None,
    ) -> Iterator[v1.ExportRequestsResponse]:
        """Writes out calls, oldest first. The pieces' bytes, one after the other, are the file.
        Errors: PERMISSION_DENIED for another key's calls."""
        request_ = build(
            v1.ExportRequestsRequest,
            {
                "filter": filter,
                "format": format,
            },
        )
        return self._transport.stream("/headworks.v1.UsageService/ExportRequests", request_, v1.ExportRequestsResponse, True, options)
