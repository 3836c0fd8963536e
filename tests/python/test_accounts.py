"""A9: whatever way a call comes in, it leaves one record and counts against budgets; L2: however it ends, what was held is given
back and it is recorded once; L7: a client that asks for a billion tokens does not pin a shared budget."""
import json, signal, tempfile, threading, time, urllib.request
import grpc
from headworks.v1 import (chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, embedding_service_pb2 as es, embedding_service_pb2_grpc as esg,
                          key_service_pb2 as ks, key_service_pb2_grpc as ksg, stream_service_pb2 as ss, stream_service_pb2_grpc as ssg,
                          usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from gateway import ADMIN, Checks, Gateway

check = Checks()
META = (('authorization', 'Bearer ' + ADMIN),)
DOLLAR = 1_000_000_000


class Desk:
    def __init__(self, g):
        self.g, self.channel = g, grpc.insecure_channel(f'127.0.0.1:{g.port}')
        self.keys, self.usage = ksg.KeyServiceStub(self.channel), usg.UsageServiceStub(self.channel)
    def key(self, limit, group=''):
        """A key with a hard budget in a group with another, so that both are counted."""
        group = group or self.keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(name='team', budget=ks.Budget(limit_nano_usd=limit))), metadata=META).group.id
        made = self.keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='app', group=group, budget=ks.Budget(limit_nano_usd=limit))), metadata=META)
        return made.key.id, made.secret, group
    def budgets(self, key, group):
        return [self.keys.GetBudget(ks.GetBudgetRequest(**which), metadata=META) for which in ({'key_id': key}, {'group_id': group})]
    def records(self, key): return list(self.usage.ListRequests(us.ListRequestsRequest(filter=us.RequestFilter(key_id=key), page_size=1000), metadata=META).requests)
    def auth(self, secret): return (('authorization', 'Bearer ' + secret),)


def chat(model='sandbox/echo', text='hello there', most=40):
    return c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text=text)])], sampling=c.Sampling(max_output_tokens=most))


def ways(d, secret):
    """Every route that calls a model: (name, door in its record, whether it costs, call)."""
    g, auth = d.g, d.auth(secret)
    said = [{'role': 'user', 'content': 'hello there'}]
    rest = lambda path, body: lambda: g.call(path, body, key=secret)
    return [
        ('chat', 'rest-chat', True, rest('/v1/chat/completions', {'model': 'sandbox/echo', 'messages': said, 'max_tokens': 40})),
        ('chat, streamed', 'rest-chat', True, rest('/v1/chat/completions', {'model': 'sandbox/echo', 'messages': said, 'max_tokens': 40, 'stream': True})),
        ('responses', 'rest-responses', True, rest('/v1/responses', {'model': 'sandbox/echo', 'input': 'hello there', 'max_output_tokens': 40})),
        ('responses, streamed', 'rest-responses', True, rest('/v1/responses', {'model': 'sandbox/echo', 'input': 'hello there', 'max_output_tokens': 40, 'stream': True})),
        ('messages', 'rest-messages', True, rest('/v1/messages', {'model': 'sandbox/echo', 'max_tokens': 40, 'messages': said})),
        ('messages, streamed', 'rest-messages', True, rest('/v1/messages', {'model': 'sandbox/echo', 'max_tokens': 40, 'messages': said, 'stream': True})),
        ('embeddings', 'rest-embeddings', True, rest('/v1/embeddings', {'model': 'sandbox/embedding', 'input': ['hello there ' * 50, 'you ' * 50]})),
        ('count_tokens', 'rest-messages', False, rest('/v1/messages/count_tokens', {'model': 'sandbox/echo', 'messages': said})),
        ('gRPC Complete', 'grpc', True, lambda: csg.ChatServiceStub(d.channel).Complete(cs.CompleteRequest(chat=chat()), metadata=auth)),
        ('gRPC Stream', 'grpc', True, lambda: list(ssg.StreamServiceStub(d.channel).Stream(ss.StreamRequest(chat=chat()), metadata=auth))),
        ('gRPC Embed', 'grpc', True, lambda: esg.EmbeddingServiceStub(d.channel).Embed(
            es.EmbedRequest(model='sandbox/embedding', inputs=['hello there ' * 50]), metadata=auth)),
    ]


def refused(call):
    """The reason a call was refused with, at either door."""
    try: answer = call()
    except grpc.RpcError as error: return error.details()
    return json.dumps(answer[2]) if isinstance(answer, tuple) and answer[0] >= 400 else None


def every_way_counts(d):
    key, secret, group = d.key(DOLLAR)
    spent = 0
    for n, (name, door, costs, call) in enumerate(ways(d, secret)):
        answer = call()
        if isinstance(answer, tuple): check(f'A9 {name} is answered', answer[0], 200)
        records = d.records(key)
        check(f'A9 {name} leaves one record', len(records), n + 1)
        newest = records[0]
        cost = newest.usage.cost_nano_usd
        check(f'A9 {name}: its door and its cost', (newest.door, cost > 0, newest.outcome), (door, costs, u.ATTEMPT_OUTCOME_SUCCESS))
        check(f'A9 {name}: known to the nano-dollar', newest.usage.cost_known)
        spent += cost
        for budget in d.budgets(key, group): check(f'A9 {name} counts against the budgets', (budget.spent_nano_usd, budget.held_nano_usd), (spent, 0))
        # A12: the total is that of its parts.
        usage = newest.usage
        check(f'A12 {name}: prompt and completion are sums', (usage.prompt_tokens, usage.completion_tokens),
              (usage.input_tokens + usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens, usage.output_tokens))
        if name == 'chat':
            told = answer[2]['usage']
            check('A12 total_tokens is the sum of both', told['total_tokens'], told['prompt_tokens'] + told['completion_tokens'])
    _, poor, _ = d.key(1)
    for name, door, costs, call in ways(d, poor):
        said = refused(call)
        check(f'A9 {name} is refused by a budget that is spent' if costs else f'A9 {name} costs nothing, so it passes', 'budget' in (said or '').lower(), costs)


def every_end_settles(d):
    g = d.g
    key, secret, group = d.key(DOLLAR)
    body = lambda model, stream=False, **more: {'model': model, 'max_tokens': 60, 'stream': stream, 'messages': [{'role': 'user', 'content': 'word ' * 30}], **more}
    def leave(model, stream, after):
        """A caller that reads so many bytes, or waits so long, and is gone."""
        import socket
        s = socket.create_connection(('127.0.0.1', g.port), 30); text = json.dumps(body(model, stream)).encode()
        s.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ' + secret.encode() +
                  b'\r\ncontent-length: %d\r\n\r\n' % len(text) + text)
        if stream:
            got = b''
            while b'data: ' not in got:
                more = s.recv(4096)
                if not more: raise SystemExit(f'the stream ended before it began: {got!r}')
                got += more
        else: time.sleep(after)
        s.close()
    ends = [
        ('the upstream fails', lambda: g.call('/v1/chat/completions', body('sandbox/error-500'), key=secret), u.ATTEMPT_OUTCOME_FAILED),
        ('it fails and another serves', lambda: g.call('/v1/chat/completions', body('sandbox/error-429', models=['sandbox/echo']), key=secret), u.ATTEMPT_OUTCOME_SUCCESS),
        ('it breaks amid the answer', lambda: g.call('/v1/chat/completions', body('sandbox/break-mid-stream', True), key=secret), u.ATTEMPT_OUTCOME_FAILED_PARTIAL),
        ('it is too late', lambda: g.call('/v1/chat/completions', body('sandbox/timeout', True), key=secret), u.ATTEMPT_OUTCOME_FAILED),
        ('the caller leaves a stream', lambda: leave('sandbox/slow', True, 0), u.ATTEMPT_OUTCOME_CANCELLED),
        ('the caller leaves before an answer', lambda: leave('sandbox/hang', False, 0.5), u.ATTEMPT_OUTCOME_CANCELLED),
    ]
    for n, (what, call, outcome) in enumerate(ends):
        call()
        for _ in range(200):
            records = d.records(key)
            if len(records) == n + 1: break
            time.sleep(0.05)
        check(f'L2 {what}: one record', ([r.outcome for r in records[:1]], len(records)), ([outcome], n + 1))
        total = sum(r.usage.cost_nano_usd for r in records)
        for budget in d.budgets(key, group): check(f'L2 {what}: nothing held, spent is the sum of the records', (budget.held_nano_usd, budget.spent_nano_usd), (0, total))
    return key, secret, group


with Gateway('[engine]\nfirst_token_timeout_ms = 5000\n') as g:
    d = Desk(g)
    every_way_counts(d)
    key, secret, group = every_end_settles(d)
    # L7: what a model can write is the most that is held, whatever is asked for.
    other, wide, _ = d.key(40_000_000)                                    # echo's longest answer costs 32,768,000
    status, _, _ = g.chat(key=wide, content='a', max_tokens=1_000_000_000)
    check('L7 a billion tokens hold no more than the model can write', (status, d.records(other)[0].route.attempts[0].hold_nano_usd < 40_000_000), (200, True))
    # L2: death of the gateway under a call. Its hold becomes its cost, once.
    before = d.budgets(key, group)[0].spent_nano_usd
    hang = threading.Thread(target=lambda: refused(lambda: g.chat('sandbox/hang', key=secret, max_tokens=60)), daemon=True)
    def quiet():
        try: g.chat('sandbox/hang', key=secret, max_tokens=60)
        except Exception: pass
    hang = threading.Thread(target=quiet, daemon=True); hang.start()
    for _ in range(200):
        held = d.budgets(key, group)[0].held_nano_usd
        if held: break
        time.sleep(0.02)
    check('held while it runs', held > 0)
    time.sleep(0.1)
    g.stop(signal.SIGKILL)
for run in range(2):
    with Gateway(folder=g.folder) as g:
        d = Desk(g)
        records = d.records(key)
        lost = [r for r in records if r.outcome == u.ATTEMPT_OUTCOME_UNKNOWN]
        check(f'L2 killed, start {run + 1}: one record of unknown outcome at its hold', [r.usage.cost_nano_usd for r in lost], [held])
        for budget in d.budgets(key, group): check(f'L2 killed, start {run + 1}: nothing is held', (budget.held_nano_usd, budget.spent_nano_usd), (0, before + held))
        g.stop(signal.SIGKILL)
check.end()
