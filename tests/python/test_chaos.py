"""Upstreams that refuse, limit, break, hang, reset, lie in a 200, drip and cut, at random, before a last one that is good:
every request is answered, none twice, none lost, and every record tells what happened. Half the calls are under a policy that
goes on in mid-stream: these get their whole answer whatever breaks, the others are told. HEADWORKS_CHAOS sets how many (10000)."""
import asyncio, json, os, random, socket, struct, time
import grpc
from google.protobuf import duration_pb2
from headworks.v1 import (policy_service_pb2 as ps, policy_service_pb2_grpc as psg, usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from gateway import ADMIN, Checks, Gateway, free_port

COUNT = int(os.environ.get('HEADWORKS_CHAOS', '10000'))
LANES = 40
SEED = int(os.environ.get('HEADWORKS_CHAOS_SEED', '7'))
WAYS = ['good'] * 5 + ['429', '429-hint', '500', '503', '529', 'hang', 'reset', 'reset-late', 'error-in-200', 'cut', 'cut', 'drip', 'html', 'empty']
check = Checks()
dice = random.Random(SEED)
calls = {}      # request -> [(host, way)], in order of arrival


def words(n): return [f'w{n}.{i} ' for i in range(3 + n % 5)]


def left(n, messages):
    """What is left to write, where a model is told to go on: its last words first."""
    if len(messages) == 1: return words(n)
    said, told = messages[-2]['content'], messages[-1]['content']
    anchor = told.split('exactly:\n')[1].split('\nand go on')[0]
    assert said.endswith(anchor), (said, anchor)
    return [word + ' ' for word in ''.join(words(n))[len(said) - len(anchor):].split()]


class Host(asyncio.Protocol):
    """One upstream that speaks just enough HTTP/1.1. `ways`: how it may behave."""
    def __init__(self, name, ways): self.name, self.ways, self.data, self.task = name, ways, b'', None
    def connection_made(self, transport): self.transport = transport
    def connection_lost(self, _):
        if self.task: self.task.cancel()

    def data_received(self, data):
        self.data += data
        head, sep, rest = self.data.partition(b'\r\n\r\n')
        if not sep: return
        if head.startswith(b'HEAD'):
            self.data = rest; self.transport.write(b'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'); return
        length = int(next(l.split(b':')[1] for l in head.split(b'\r\n') if l.lower().startswith(b'content-length:')))
        if len(rest) < length: return
        body = json.loads(rest[:length]); self.data = rest[length:]
        n = int(body['messages'][0]['content']); way = dice.choice(self.ways)
        calls.setdefault(n, []).append((self.name, way))
        self.task = asyncio.ensure_future(self.answer(n, way, body.get('stream', False), left(n, body['messages'])))

    def reset(self):
        sock = self.transport.get_extra_info('socket')
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); self.transport.abort()

    def plain(self, status, body, extra=''):
        body = body.encode()
        self.transport.write(f'HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {len(body)}\r\n\r\n'.encode() + body)

    async def answer(self, n, way, stream, said):
        error = lambda kind: json.dumps({'error': {'message': kind, 'type': kind}})
        if way == '429': return self.plain(429, error('rate_limit'))
        if way == '429-hint': return self.plain(429, error('rate_limit'), 'retry-after-ms: 1\r\n')
        if way in ('500', '503', '529'): return self.plain(way, error('broken'))
        if way == 'html': return self.plain(502, '<html>bad gateway</html>')
        if way == 'empty': return self.plain(200, '')
        if way == 'hang': return
        if way == 'reset': return self.reset()
        usage = {'prompt_tokens': 10 + n % 7, 'completion_tokens': len(words(n)), 'total_tokens': 10 + n % 7 + len(words(n))}
        if not stream:
            body = json.dumps({'id': 'x', 'created': 1, 'model': 'm', 'usage': usage, 'choices': [{'index': 0, 'finish_reason': 'stop', 'message': {'role': 'assistant', 'content': ''.join(words(n))}}]}).encode()
            if way == 'error-in-200': return self.plain(200, error('overloaded_error'))
            self.transport.write(f'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n'.encode())
            if way in ('cut', 'reset-late'): self.transport.write(body[:len(body) // 2]); await asyncio.sleep(0.002); return self.reset()
            if way == 'drip':
                for at in range(0, len(body), 40): self.transport.write(body[at:at + 40]); await asyncio.sleep(0.001)
            else: self.transport.write(body)
            return
        send = lambda text: self.transport.write(f'{len(text):x}\r\n'.encode() + text + b'\r\n')
        chunk = lambda delta, reason=None, **more: ('data: ' + json.dumps({'id': 'x', 'created': 1, 'model': 'm', 'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}], **more}) + '\n\n').encode()
        self.transport.write(b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
        send(chunk({'role': 'assistant', 'content': ''}))
        if way == 'reset-late': await asyncio.sleep(0.002); return self.reset()
        if way == 'error-in-200': send(b'data: ' + error('overloaded_error').encode() + b'\n\n'); return self.transport.write(b'0\r\n\r\n')
        keep = 1 + n % 2 if way == 'cut' else None
        for word in said[:keep]:
            send(chunk({'content': word}))
            if way == 'drip' or keep: await asyncio.sleep(0.002)
        if keep: return self.reset() if n % 3 else self.transport.write(b'0\r\n\r\n')
        send(chunk({}, 'stop')); send(('data: ' + json.dumps({'id': 'x', 'created': 1, 'model': 'm', 'choices': [], 'usage': usage}) + '\n\ndata: [DONE]\n\n').encode())
        self.transport.write(b'0\r\n\r\n')


async def body_of(reader, head):
    if b'chunked' not in head.lower():
        length = next((int(l.split(b':')[1]) for l in head.split(b'\r\n') if l.lower().startswith(b'content-length:')), 0)
        return await reader.readexactly(length)
    out = b''
    while True:
        size = int(await reader.readline(), 16); out += await reader.readexactly(size); await reader.readexactly(2)
        if not size: return out


async def lane(port, numbers, answers):
    reader = writer = None
    for n in numbers:
        if writer is None: reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=1 << 20)
        body = json.dumps({'model': 'policy/' + ('three', 'refused')[n % 2], 'stream': bool(n % 3), 'stream_options': {'include_usage': True}, 'messages': [{'role': 'user', 'content': str(n)}], 'headworks': {'tags': [f'n{n}']}} if n % 3 else
                          {'model': 'policy/' + ('three', 'refused')[n % 2], 'messages': [{'role': 'user', 'content': str(n)}], 'headworks': {'tags': [f'n{n}']}}).encode()
        writer.write(f'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n'.encode() + body)
        head = await asyncio.wait_for(reader.readuntil(b'\r\n\r\n'), 60)
        answers.setdefault(n, []).append((head, await asyncio.wait_for(body_of(reader, head), 60)))
    if writer: writer.close()


def header(head, name):
    return next((l.split(b': ', 1)[1].decode() for l in head.split(b'\r\n') if l.lower().startswith(name.encode() + b':')), None)


def judge(n, head, raw):
    """('good' or 'told', what the client can know) of one answer; anything else is a failure."""
    status = int(head.split(b' ')[1]); text = raw.decode()
    if n % 3 == 0:
        if status != 200: return f'status {status}: {text[:200]}', None
        reply = json.loads(text)
        return ('good' if reply['choices'][0]['message']['content'] == ''.join(words(n)) else f'text {text[:200]}'), reply['usage']
    if status != 200: return f'status {status}: {text[:200]}', None
    said, usage, errors, done, roles = '', None, [], 0, 0
    for line in text.split('\n'):
        if line == 'data: [DONE]': done += 1
        elif line.startswith('data: '):
            event = json.loads(line[6:])
            if 'error' in event: errors.append(event['error']['headworks']['reason'])
            usage = event.get('usage') or usage
            for c in event.get('choices', []): said += c['delta'].get('content') or ''; roles += 'role' in c['delta']
    whole = ''.join(words(n))
    if not errors: return ('good' if (said, done, roles) == (whole, 1, 1) else f'said {said!r}, {done} [DONE], {roles} starts'), usage
    right = errors == ['STREAM_BROKEN'] and done == 0 and said and whole.startswith(said) and said != whole
    return ('told' if right else f'{errors}, {done} [DONE], said {said!r}'), None


async def main():
    loop = asyncio.get_running_loop(); ports = {}
    for name, ways in (('openai', WAYS), ('groq', WAYS), ('deepseek', ['good'])):
        server = await loop.create_server(lambda name=name, ways=ways: Host(name, ways), '127.0.0.1', 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    ports['mistral'] = free_port()      # nobody listens there
    config = '[engine]\nbreaker_failures = 1000000\nbreaker_open_ms = 1\nfailure_rest_ms = 0\n' + ''.join(
        f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\napi_key_env = "FAKE_KEY"\n' for name, port in ports.items())
    gateway = Gateway('[server]\nlisten = "127.0.0.1:@PORT@"\n[store]\nurl = "sled:@DATA@"\n[log]\nlevel = "error"\n' + config)
    await asyncio.to_thread(gateway.start)
    channel = grpc.insecure_channel(f'127.0.0.1:{gateway.port}'); auth = (('authorization', 'Bearer ' + ADMIN),)
    policies, usage = psg.PolicyServiceStub(channel), usg.UsageServiceStub(channel)
    limits = ps.Timeouts(first_token=duration_pb2.Duration(nanos=400_000_000), total=duration_pb2.Duration(nanos=800_000_000))
    a, b, good, nobody = 'openai/gpt-4o', 'groq/llama-3.3-70b-versatile', 'deepseek/deepseek-chat', 'mistral/mistral-small-latest'
    for name, chain in (('three', [a, b, good]), ('refused', [nobody, b, good])):
        targets = [ps.PolicyTarget(model=m, timeouts=None if m == good else limits) for m in chain]
        await asyncio.to_thread(policies.CreatePolicy, ps.CreatePolicyRequest(policy=ps.Policy(name=name, mid_stream=ps.MID_STREAM_CONTINUE if name == 'refused' else ps.MID_STREAM_FAIL, fallback=ps.FallbackChain(targets=targets))), metadata=auth)
    began, answers = time.monotonic(), {}
    await asyncio.gather(*(lane(gateway.port, range(start, COUNT, LANES), answers) for start in range(LANES)))
    print(f'{COUNT} requests in {time.monotonic() - began:.1f} s, {sum(map(len, calls.values()))} calls upstream')

    def records():
        token = ''
        while True:
            page = usage.ListRequests(us.ListRequestsRequest(page_size=1000, page_token=token), metadata=auth); yield from page.requests; token = page.next_page_token
            if not token: return
    found = await asyncio.to_thread(lambda: list(records()))
    by_tag = {}
    for r in found: by_tag.setdefault(int(r.tags[0][1:]), []).append(r)
    check('every request is answered, once', (sorted(answers) == list(range(COUNT)), max(map(len, answers.values()))), (True, 1))
    check('no record is lost and none is there twice', (len(found), sorted(by_tag) == list(range(COUNT))), (COUNT, True))
    bad, told, failed_over, carried = [], 0, 0, 0
    hosts = {'three': ['openai', 'groq', 'deepseek'], 'refused': ['mistral', 'groq', 'deepseek']}
    for n in range(COUNT):
        head, raw = answers[n][0]; verdict, seen = judge(n, head, raw); record = by_tag[n][0]; attempts = list(record.route.attempts); ways = calls.get(n, [])
        told += verdict == 'told'; failed_over += len(attempts) > 1
        partial = [x for x in attempts[:-1] if x.outcome == u.ATTEMPT_OUTCOME_FAILED_PARTIAL]
        goes_on = n % 2 == 1; carried += bool(partial)
        wrote = [*partial, attempts[-1]]; sums = (sum(x.usage.prompt_tokens for x in wrote), sum(x.usage.completion_tokens for x in wrote))
        chain = [x for x in hosts[('three', 'refused')[n % 2]]]
        reached = [x for x in attempts if x.provider != 'mistral']
        ok = {
            'answer': verdict == 'good' or verdict == 'told' and not goes_on,
            'outcome': record.outcome == (u.ATTEMPT_OUTCOME_SUCCESS if verdict == 'good' else u.ATTEMPT_OUTCOME_FAILED_PARTIAL),
            'request id': header(head, 'x-headworks-request-id') == record.id,
            'each target once': len({x.provider for x in attempts}) == len(attempts) and all(x.provider in chain for x in attempts),
            'what upstreams saw': [x.provider for x in reached] == [h for h, _ in ways],
            'ordinals': [x.ordinal for x in attempts] == list(range(1, len(attempts) + 1)),
            'failures before the last': all((x.outcome == u.ATTEMPT_OUTCOME_FAILED or goes_on and x in partial) and x.reason for x in attempts[:-1]),
            'the last': attempts[-1].outcome == record.outcome and ways[-1][1] in (('good', 'drip') if verdict == 'good' else ('cut',)),
            'tokens': verdict == 'told' or sums == (record.usage.prompt_tokens, record.usage.completion_tokens) == (seen['prompt_tokens'], seen['completion_tokens'])
                      and (bool(partial) or sums == (10 + n % 7, len(words(n)))),
            'cost': record.usage.cost_known and record.usage.cost_nano_usd == sum(x.usage.cost_nano_usd for x in attempts) and (verdict == 'told' or round(seen['cost'] * 1e9) == record.usage.cost_nano_usd > 0),
        }
        wrong = [what for what, right in ok.items() if not right]
        if wrong: bad.append((n, wrong, verdict, ways, [(x.provider, x.outcome, x.reason) for x in attempts]))
    check('every answer and record is right', bad[:5], [])
    seen_ways = {way for list_ in calls.values() for _, way in list_}
    check('every way to fail was met', sorted(set(WAYS) - seen_ways) if COUNT >= 1000 else [], [])
    check('the chain was used', failed_over > COUNT / 4 and told > 0 and carried > 0)
    text = await asyncio.to_thread(lambda: gateway.call('/metrics')[2])
    total = sum(float(l.rsplit(' ', 1)[1]) for l in text.splitlines() if l.startswith('headworks_failovers_total{'))
    check('failovers are counted', total, float(sum(len(r.route.attempts) - 1 for r in found)))
    check('nothing is left under way', 'headworks_requests_in_flight 0' in text)
    print(f'{failed_over} failed over, {carried} went on in mid-stream, {told} were told that their stream broke')
    await asyncio.to_thread(gateway.stop)


asyncio.run(main())
check.end()
