"""Every rpc with a key of every role: the table of who may do what. An rpc that is not in it fails the test."""
import json, threading, time
import grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from headworks.v1 import (chat_pb2 as c, chat_service_pb2, embedding_service_pb2, key_service_pb2 as ks, key_service_pb2_grpc as ksg, model_service_pb2, policy_service_pb2,
                          policy_service_pb2_grpc as psg, stream_service_pb2, usage_service_pb2, usage_service_pb2_grpc as usg)
from gateway import ADMIN, Checks, Gateway

check = Checks()
CALLER, MANAGER, READER = ks.KEY_ROLE_CALLER, ks.KEY_ROLE_KEY_MANAGER, ks.KEY_ROLE_READER
# Admins may do everything. `any`: whoever has a key, about itself.
ANY, NONE = {CALLER, MANAGER, READER}, set()
TABLE = {
    'ChatService': {'Complete': {CALLER}},
    'StreamService': {'Stream': {CALLER}, 'Resume': ANY, 'Cancel': ANY},
    'EmbeddingService': {'Embed': {CALLER}},
    'ModelService': dict.fromkeys(['ListModels', 'GetModel', 'ListProviders', 'CheckChat'], ANY) | dict.fromkeys(['CreateModel', 'UpdateModel', 'DeleteModel'], NONE),
    'PolicyService': {**dict.fromkeys(['CreatePolicy', 'UpdatePolicy', 'DeletePolicy'], NONE), **dict.fromkeys(['GetPolicy', 'ListPolicies', 'ListPolicyVersions'], {MANAGER, READER}),
                      **dict.fromkeys(['ExplainRoute', 'SimulatePolicy'], {READER})},
    'UsageService': dict.fromkeys(['QueryUsage', 'ListRequests', 'GetRequest', 'WatchRequests', 'ExportRequests'], ANY),
    'KeyService': {**dict.fromkeys(['CreateKey', 'UpdateKey', 'RotateKey', 'RevokeKey', 'CreateGroup', 'UpdateGroup', 'DeleteGroup'], {MANAGER}),
                   **dict.fromkeys(['ListKeys', 'GetGroup', 'ListGroups'], {MANAGER, READER}),
                   **dict.fromkeys(['GetKey', 'GetBudget', 'ListAlerts', 'WatchAlerts'], ANY)},
}


def reason(error):
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info): return info.reason
    return error.code().name


with Gateway('', store='memory') as g:
    channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
    keys = ksg.KeyServiceStub(channel)
    auth = lambda secret: (('authorization', 'Bearer ' + secret),)
    make = lambda *roles, by=ADMIN, **more: keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='test', roles=roles, **more)), metadata=auth(by))
    made = {role: make(role) for role in (CALLER, MANAGER, READER)}

    def denied(service, method, secret):
        """Whether an empty call is refused for the role. Whatever else it is refused for, it got past the role."""
        path = f'/headworks.v1.{service.name}/{method.name}'
        try:
            if method.server_streaming:
                answer = channel.unary_stream(path, lambda b: b, lambda b: b)(b'', metadata=auth(secret), timeout=3)
                next(iter(answer), None); answer.cancel()
            else: channel.unary_unary(path, lambda b: b, lambda b: b)(b'', metadata=auth(secret), timeout=10)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED): return False    # a stream that waits for news
            return reason(error) == 'PERMISSION_DENIED'
        return False

    for module in (chat_service_pb2, stream_service_pb2, embedding_service_pb2, model_service_pb2, policy_service_pb2, usage_service_pb2, ks):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                allowed = TABLE.get(service.name, {}).get(method.name)
                check(f'{service.name}.{method.name} is in the table', allowed is not None)
                if allowed is None: continue
                # Calling models with nothing is refused before anybody asks for the role, so these have a message.
                if allowed == {CALLER}: continue
                for role, key in made.items():
                    check(f'{service.name}.{method.name} by {ks.KeyRole.Name(role)}', denied(service, method, key.secret), role not in allowed)
                check(f'{service.name}.{method.name} by an admin', denied(service, method, ADMIN), False)
    for role, key in made.items():
        check(f'chat by {ks.KeyRole.Name(role)}', g.chat(key=key.secret)[0], 200 if role == CALLER else 403)
        check(f'a stream by {ks.KeyRole.Name(role)}', g.chat(key=key.secret, stream=True)[0], 200 if role == CALLER else 403)

    def refused(what, call):
        try: call(); check(what, 'nothing', 'refused')
        except grpc.RpcError as error: return reason(error)

    # A key manager makes callers and readers, and lifts nobody to where it could lift itself.
    manager, reader, caller = (made[role].secret for role in (MANAGER, READER, CALLER))
    mine = make(CALLER, READER, by=manager)
    check('a key manager makes callers and readers', list(mine.key.roles), [CALLER, READER])
    admin = make(ks.KEY_ROLE_ADMIN)
    for role in (ks.KEY_ROLE_ADMIN, MANAGER):
        check(f'but no {ks.KeyRole.Name(role)}', refused('a role', lambda: make(role, by=manager)), 'PERMISSION_DENIED')
        check(f'nor lifts one to {ks.KeyRole.Name(role)}', refused('a lift', lambda: keys.UpdateKey(ks.UpdateKeyRequest(
            key=ks.Key(id=mine.key.id, roles=[role]), update_mask={'paths': ['roles']}), metadata=auth(manager))), 'PERMISSION_DENIED')
    check('nor rotates an admin\'s key, whose new secret it would see', refused('a rotation', lambda: keys.RotateKey(ks.RotateKeyRequest(id=admin.key.id), metadata=auth(manager))), 'PERMISSION_DENIED')
    check('nor ends it', refused('an end', lambda: keys.RevokeKey(ks.RevokeKeyRequest(id=admin.key.id), metadata=auth(manager))), 'PERMISSION_DENIED')
    check('nor changes it', refused('a change', lambda: keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=admin.key.id, name='x'), update_mask={'paths': ['name']}), metadata=auth(manager))), 'PERMISSION_DENIED')
    # A key reads itself and its own budget; another's looks like none.
    for name in ('self', made[CALLER].key.id):
        check(f'a key reads itself as {name}', keys.GetKey(ks.GetKeyRequest(id=name), metadata=auth(caller)).key.id, made[CALLER].key.id)
        check(f'and its budget as {name}', keys.GetBudget(ks.GetBudgetRequest(key_id=name), metadata=auth(caller)).HasField('budget'), False)
    for call in (lambda: keys.GetKey(ks.GetKeyRequest(id=mine.key.id), metadata=auth(caller)), lambda: keys.GetBudget(ks.GetBudgetRequest(key_id=mine.key.id), metadata=auth(caller))):
        check('another\'s key looks like none', refused('another', call), 'NOT_FOUND')
    check('a reader reads others', keys.GetKey(ks.GetKeyRequest(id=mine.key.id), metadata=auth(reader)).key.id, mine.key.id)
    # A secret with a wrong letter is not whole; one of the right form that nobody made is unknown.
    wrong = caller[:-1] + ('a' if caller[-1] != 'a' else 'b')
    status, _, body = g.chat(key=wrong)
    check('a mistyped key', (status, 'checksum' in body['error']['message']), (401, True))
    check('secrets have a prefix and a length', (caller[:3], len(caller)), ('hw_', 52))


# Keys in a group: a reader sees, and a key manager manages, what is in the group and below it. Nothing else is there for them.
with Gateway('', store='memory') as g:
    channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
    keys, usage, policies = ksg.KeyServiceStub(channel), usg.UsageServiceStub(channel), psg.PolicyServiceStub(channel)
    budget = lambda: ks.Budget(limit_nano_usd=1_000, soft=True, alert_percents=[100])
    group = lambda by=ADMIN, **more: keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(**more)), metadata=auth(by)).group
    org, other = group(name='org'), group(name='other', budget=budget())
    team = group(name='team', parent=org.id, budget=budget())
    squad = group(name='squad', parent=team.id)
    ours, deep, theirs, above = (make(CALLER, group=where.id, budget=budget()) for where in (team, squad, other, org))
    manager, reader = make(MANAGER, group=team.id), make(READER, group=team.id)
    inside, outside = {ours.key.id, deep.key.id, manager.key.id, reader.key.id}, {theirs.key.id, above.key.id}
    live, watching = [], threading.Event()
    def watch():
        call = usage.WatchRequests(usage_service_pb2.WatchRequestsRequest(), metadata=auth(reader.secret))
        watching.set()
        try: live.extend(answer.request.key_id for answer in call)
        except grpc.RpcError: pass
    threading.Thread(target=watch, daemon=True).start(); watching.wait()
    until = lambda what, true: check(what, any(true() or time.sleep(0.1) for _ in range(200)))
    def first(): g.chat(key=ours.secret); return live
    until('the watcher is told', first)
    for made in (deep, theirs, above, ours): check('a call', g.chat(key=made.secret)[0], 200)
    until('calls of the group are told live', lambda: deep.key.id in live and live[-1] == ours.key.id)
    check('and no others', set(live) & outside, set())

    for who in (manager, reader):
        by, name = auth(who.secret), ks.KeyRole.Name(who.key.roles[0])
        check(f'{name} lists the keys of its group', {k.id for k in keys.ListKeys(ks.ListKeysRequest(), metadata=by).keys}, inside)
        check(f'{name} lists its groups', {x.id for x in keys.ListGroups(ks.ListGroupsRequest(), metadata=by).groups}, {team.id, squad.id})
        check(f'{name} reads them', (keys.GetKey(ks.GetKeyRequest(id=deep.key.id), metadata=by).key.id, keys.GetGroup(ks.GetGroupRequest(id=team.id), metadata=by).group.id), (deep.key.id, team.id))
        for what, call in (('a key', lambda: keys.GetKey(ks.GetKeyRequest(id=above.key.id), metadata=by)), ('a group', lambda: keys.GetGroup(ks.GetGroupRequest(id=org.id), metadata=by)),
                           ('a key\'s budget', lambda: keys.GetBudget(ks.GetBudgetRequest(key_id=theirs.key.id), metadata=by)), ('a group\'s budget', lambda: keys.GetBudget(ks.GetBudgetRequest(group_id=other.id), metadata=by))):
            check(f'{name}: {what} out of reach looks like none', refused(what, call), 'NOT_FOUND')
        check(f'{name} reads budgets', (keys.GetBudget(ks.GetBudgetRequest(key_id=deep.key.id), metadata=by).spent_nano_usd > 0, keys.GetBudget(ks.GetBudgetRequest(group_id=team.id), metadata=by).spent_nano_usd > 0), (True, True))
        told = lambda: {a.key_id or a.group_id for a in keys.ListAlerts(ks.ListAlertsRequest(), metadata=by).alerts}
        until(f'{name} sees the alerts of its group alone', lambda: told() == {ours.key.id, deep.key.id, team.id})

    by = auth(reader.secret)
    rows = usage.QueryUsage(usage_service_pb2.QueryUsageRequest(group_by=['key']), metadata=by).rows
    check('sums are the group\'s', {row.group['key'] for row in rows}, {ours.key.id, deep.key.id})
    check('also where another group is asked for', len(usage.QueryUsage(usage_service_pb2.QueryUsageRequest(group_by=['key'], filter={'group_id': other.id}), metadata=by).rows), 0)
    check('and one below', [row.request_count for row in usage.QueryUsage(usage_service_pb2.QueryUsageRequest(filter={'group_id': squad.id}), metadata=by).rows], [1])
    all_ = {r.key_id: r.id for r in usage.ListRequests(usage_service_pb2.ListRequestsRequest(), metadata=auth(ADMIN)).requests}
    seen = usage.ListRequests(usage_service_pb2.ListRequestsRequest(), metadata=by).requests
    check('records too', {r.key_id for r in seen}, {ours.key.id, deep.key.id})
    check('one by one', usage.GetRequest(usage_service_pb2.GetRequestRequest(id=all_[deep.key.id]), metadata=by).request.key_id, deep.key.id)
    check('another\'s looks like none', refused('a record', lambda: usage.GetRequest(usage_service_pb2.GetRequestRequest(id=all_[theirs.key.id]), metadata=by)), 'NOT_FOUND')
    lines = b''.join(p.data for p in usage.ExportRequests(usage_service_pb2.ExportRequestsRequest(), metadata=by)).splitlines()
    check('exports too', {json.loads(line)['key_id'] for line in lines}, {ours.key.id, deep.key.id})
    check('a key manager without READER sees its own calls alone', len(usage.ListRequests(usage_service_pb2.ListRequestsRequest(), metadata=auth(manager.secret)).requests), 0)
    chat = c.Chat(model='sandbox/echo', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='hi')])])
    explain = lambda key: policies.ExplainRoute(policy_service_pb2.ExplainRouteRequest(chat=chat, key_id=key), metadata=by)
    check('a reader explains the route of a key', explain(deep.key.id).targets[0].target, 'sandbox/echo')
    check('but not of one out of reach', refused('a route', lambda: explain(theirs.key.id)), 'NOT_FOUND')
    tried = policy_service_pb2.Policy(fallback=policy_service_pb2.FallbackChain(targets=[policy_service_pb2.PolicyTarget(model='sandbox/echo')]))
    simulated = policies.SimulatePolicy(policy_service_pb2.SimulatePolicyRequest(policy=tried), metadata=by)
    check('and simulates with the calls of its group', simulated.simulated.request_count, len(seen))

    # Managing.
    by = manager.secret
    mine = make(CALLER, by=by, group=squad.id)
    check('a key is made below', mine.key.group, squad.id)
    below = group(by, name='new', parent=squad.id)
    for what, call in (('a key nowhere', lambda: make(CALLER, by=by)), ('a key elsewhere', lambda: make(CALLER, by=by, group=org.id)),
                       ('a group at the top', lambda: group(by, name='x')), ('a group elsewhere', lambda: group(by, name='x', parent=other.id)),
                       ('a key moved away', lambda: keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=mine.key.id, group=other.id), update_mask={'paths': ['group']}), metadata=auth(by))),
                       ('a group moved away', lambda: keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=below.id), update_mask={'paths': ['parent']}), metadata=auth(by))),
                       ('its own group\'s budget', lambda: keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=team.id), update_mask={'paths': ['budget']}), metadata=auth(by))),
                       ('its own group', lambda: keys.DeleteGroup(ks.DeleteGroupRequest(id=team.id), metadata=auth(by)))):
        check(f'{what} is refused', refused(what, call), 'PERMISSION_DENIED')
    for what, call in (('a change', lambda: keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=theirs.key.id, name='x'), update_mask={'paths': ['name']}), metadata=auth(by))),
                       ('a rotation', lambda: keys.RotateKey(ks.RotateKeyRequest(id=theirs.key.id), metadata=auth(by))), ('an end', lambda: keys.RevokeKey(ks.RevokeKeyRequest(id=above.key.id), metadata=auth(by))),
                       ('a group\'s change', lambda: keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=org.id, name='x'), update_mask={'paths': ['name']}), metadata=auth(by))),
                       ('a group\'s end', lambda: keys.DeleteGroup(ks.DeleteGroupRequest(id=other.id), metadata=auth(by)))):
        check(f'{what} out of reach finds nothing', refused(what, call), 'NOT_FOUND')
    keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=mine.key.id, group=team.id), update_mask={'paths': ['group']}), metadata=auth(by))
    keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=squad.id, name='squad two'), update_mask={'paths': ['name']}), metadata=auth(by))
    keys.DeleteGroup(ks.DeleteGroupRequest(id=below.id), metadata=auth(by))
    keys.RevokeKey(ks.RevokeKeyRequest(id=mine.key.id), metadata=auth(by))
    # An admin in a group is an admin.
    check('an admin in a group sees all', outside <= {k.id for k in keys.ListKeys(ks.ListKeysRequest(), metadata=auth(make(ks.KEY_ROLE_ADMIN, group=team.id).secret)).keys})
check.end()
