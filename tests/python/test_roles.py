"""Every rpc with a key of every role: the table of who may do what. An rpc that is not in it fails the test."""
import grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from headworks.v1 import (chat_service_pb2, embedding_service_pb2, key_service_pb2 as ks, key_service_pb2_grpc as ksg, model_service_pb2, policy_service_pb2,
                          stream_service_pb2, usage_service_pb2)
from gateway import ADMIN, Checks, Gateway

check = Checks()
CALLER, MANAGER, READER = ks.KEY_ROLE_CALLER, ks.KEY_ROLE_KEY_MANAGER, ks.KEY_ROLE_READER
# Admins may do everything. `any`: whoever has a key, about itself.
ANY, NONE = {CALLER, MANAGER, READER}, set()
TABLE = {
    'ChatService': {'Complete': {CALLER}},
    'StreamService': {'Stream': {CALLER}, 'Resume': ANY, 'Cancel': ANY},
    'EmbeddingService': {'Embed': {CALLER}},
    'ModelService': dict.fromkeys(['ListModels', 'GetModel', 'ListProviders'], ANY),
    'PolicyService': {**dict.fromkeys(['CreatePolicy', 'UpdatePolicy', 'DeletePolicy'], NONE), **dict.fromkeys(['GetPolicy', 'ListPolicies', 'ListPolicyVersions'], {MANAGER, READER})},
    'UsageService': dict.fromkeys(['QueryUsage', 'ListRequests', 'GetRequest', 'WatchRequests', 'ExportRequests'], ANY),
    'KeyService': {**dict.fromkeys(['CreateKey', 'UpdateKey', 'RotateKey', 'RevokeKey', 'CreateGroup', 'UpdateGroup', 'DeleteGroup'], {MANAGER}),
                   **dict.fromkeys(['ListKeys', 'GetGroup', 'ListGroups'], {MANAGER, READER}),
                   **dict.fromkeys(['GetKey', 'GetBudget', 'ListAlerts', 'WatchAlerts'], ANY)},
}
# Decided by what they are asked, not by role alone, or tested where they are at home.
ELSEWHERE = {('PolicyService', 'ExplainRoute'), ('PolicyService', 'SimulatePolicy')}


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
                if (service.name, method.name) in ELSEWHERE: continue
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
check.end()
