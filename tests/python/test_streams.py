"""Streams that survive a lost connection: Resume and Cancel by gRPC, /v1/streams by REST, at every door; one call upstream, one record."""
import asyncio, http.client, json, time
import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from headworks.v1 import (chat_pb2 as c, key_service_pb2 as ks, key_service_pb2_grpc as ksg, usage_pb2 as rec, stream_service_pb2 as ss,
                          stream_service_pb2_grpc as ssg, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from gateway import ADMIN, Checks, Gateway, Upstream

check = Checks()
WORDS = [f'w{i} ' for i in range(1, 13)]
pace = {'pause': 0.0, 'gate': None, 'gone': 0}


async def upstream(up, request, body):
    """Twelve words; stops after the third until the test opens the gate."""
    r = up.web.StreamResponse(headers={'content-type': 'text/event-stream'})
    await r.prepare(request)
    piece = lambda delta, finish=None: b'data: ' + json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'house': 7,
        'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]}).encode() + b'\n\n'
    try:
        for at, word in enumerate(WORDS):
            if at == 3 and pace['gate']:
                while not pace['gate'].is_set(): await asyncio.sleep(0.01); await r.write(b': wait\n\n')
            await r.write(piece({'content': word, **({'role': 'assistant'} if at == 0 else {})}))
        await r.write(piece({}, 'stop') + b'data: ' + json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'choices': [], 'usage': {'prompt_tokens': 5, 'completion_tokens': 12, 'total_tokens': 17}}).encode() + b'\n\ndata: [DONE]\n\n')
    except (ConnectionError, asyncio.CancelledError):
        pace['gone'] += 1; raise
    return r


up = Upstream(upstream)
g = Gateway('[streams]\nmax_window_s = 30\n' + f'[providers.groq]\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key_env = "FAKE_KEY"\n').start()
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
streams, keys, usage = ssg.StreamServiceStub(channel), ksg.KeyServiceStub(channel), usg.UsageServiceStub(channel)
bearer = lambda key: (('authorization', 'Bearer ' + key),)
AUTH = bearer(ADMIN)
other = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='other', roles=[ks.KEY_ROLE_CALLER])), metadata=AUTH).secret


def failure(call):
    try: call(); return ('OK', '')
    except grpc.RpcError as e:
        for d in (rpc_status.from_call(e) or []).details:
            info = error_details_pb2.ErrorInfo()
            if d.Unpack(info): return (e.code().name, info.reason)
        return (e.code().name, '')


class Gate:
    """Holds the upstream after its third word."""
    def __enter__(self):
        import threading
        pace['gate'] = threading.Event(); return pace['gate']
    def __exit__(self, *_): pace['gate'].set(); pace['gate'] = None


def begin(window=20, **more):
    chat = c.Chat(model='groq/llama-3.3-70b-versatile', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='hi')])], resume_window=duration_pb2.Duration(seconds=window), **more)
    return streams.Stream(ss.StreamRequest(chat=chat), metadata=AUTH)


def record(id_):
    return usage.GetRequest(us.GetRequestRequest(id=id_), metadata=AUTH).request


def until(what, wait=10):
    end = time.time() + wait
    while time.time() < end:
        if what(): return True
        time.sleep(0.05)
    return False


text = lambda events: ''.join(e.text for e in events if e.WhichOneof('kind') == 'text')
resume = lambda id_, after, key=ADMIN: [m.event for m in streams.Resume(ss.ResumeRequest(stream_id=id_, after_sequence=after), metadata=bearer(key))]

# --- gRPC: lost after three words, read on from there
with Gate() as gate:
    before = len(up.seen)
    call = begin()
    meta = dict(call.initial_metadata())
    first = [next(call).event for _ in range(4)]
    check('the window is told', meta['headworks-resume-window-ms'], '20000')
    id_ = first[0].started.stream_id
    check('the stream is named', (id_, first[0].started.request_id), (meta['headworks-stream-id'], meta['headworks-request-id']))
    call.cancel()
    check("another's key looks as if there were no stream", failure(lambda: resume(id_, 0, other)), ('NOT_FOUND', 'STREAM_GONE'))
    gate.set()
    rest = resume(id_, first[-1].sequence)
check('no word is lost or doubled', text(first) + text(rest), ''.join(WORDS))
check('sequences have no gaps', [e.sequence for e in first + rest], list(range(1, len(first + rest) + 1)))
check('it ends with its account', (rest[-1].WhichOneof('kind'), rest[-1].completed.usage.output_tokens), ('completed', 12))
check('one call upstream', len(up.seen) - before, 1)
check('one good record', (record(id_).outcome, len(record(id_).route.attempts)), (rec.ATTEMPT_OUTCOME_SUCCESS, 1))
again = resume(id_, 0)
check('all of it, once more', [e.SerializeToString() for e in again[:4]] == [e.SerializeToString() for e in first] and text(again) == ''.join(WORDS))
check('after the last event nothing follows', resume(id_, again[-1].sequence), [])
check('beyond it is an error', failure(lambda: resume(id_, 999)), ('INVALID_ARGUMENT', 'INVALID_REQUEST'))
check('before the first is an error', failure(lambda: resume(id_, -1)), ('INVALID_ARGUMENT', 'INVALID_REQUEST'))
check('nobody knows this stream', failure(lambda: resume('no-such-stream', 0)), ('NOT_FOUND', 'STREAM_GONE'))
check('a longer window is cut to what is allowed', dict(begin(window=3600).initial_metadata())['headworks-resume-window-ms'], '30000')

# --- Cancel ends it although nobody reads
with Gate():
    call = begin(); first = [next(call).event for _ in range(3)]; id_ = first[0].started.stream_id; gone = pace['gone']
    call.cancel(); time.sleep(0.3)
    check('the upstream goes on without a client', pace['gone'], gone)
    check("another's key may not cancel", failure(lambda: streams.Cancel(ss.CancelRequest(stream_id=id_), metadata=bearer(other))), ('NOT_FOUND', 'STREAM_GONE'))
    streams.Cancel(ss.CancelRequest(stream_id=id_), metadata=AUTH)
    check('Cancel ends the upstream', until(lambda: pace['gone'] == gone + 1))
    check('what was consumed is billed and flagged', (record(id_).outcome, record(id_).usage.estimated, record(id_).usage.cost_nano_usd > 0), (rec.ATTEMPT_OUTCOME_CANCELLED, True, True))
    check('who comes back is told', failure(lambda: resume(id_, 0)), ('CANCELLED', 'CANCELLED'))

# --- the window ends it too
with Gate():
    call = begin(window=1); id_ = next(call).event.started.stream_id; gone = pace['gone']; call.cancel()
    check('nobody came back: the upstream is told to stop', until(lambda: pace['gone'] == gone + 1))
    check('and the stream is gone', failure(lambda: resume(id_, 0)), ('NOT_FOUND', 'STREAM_GONE'))

# --- a repeated request_id joins
with Gate() as gate:
    before = len(up.seen)
    call = begin(request_id='r-1'); first = [next(call).event for _ in range(3)]; call.cancel(); gate.set()
    joined = [m.event for m in begin(request_id='r-1')]
    check('a repeat reads the same answer', (text(joined), joined[0].started.request_id), (''.join(WORDS), first[0].started.request_id))
    check('and never calls twice', len(up.seen) - before, 1)


# --- REST
def post(path, body, most):
    """Reads `most` events with data, then drops the connection. The id of the stream and what was read."""
    connection = http.client.HTTPConnection('127.0.0.1', g.port, timeout=30)
    connection.request('POST', path, json.dumps(body), {'authorization': 'Bearer ' + ADMIN, 'content-type': 'application/json'})
    response = connection.getresponse()
    events = []
    while len(events) < most:
        event = b''
        while not event.endswith(b'\n\n'):
            byte = response.read(1)
            if not byte: raise SystemExit(f'{path}: the stream ended after {events}, {event}')
            event += byte
        if b'data:' in event: events.append(event)
    connection.close()
    return response.getheader('x-headworks-stream-id'), response.getheader('x-headworks-resume-window-ms'), events


def read_on(id_, last=None, key=ADMIN):
    headers = {} if last is None else {'last-event-id': str(last)}
    status, head, body = g.call(f'/v1/streams/{id_}', headers=headers, key=key)
    return status, head, [e.encode() + b'\n\n' for e in body.split('\n\n') if 'data:' in e] if isinstance(body, str) else body


number = lambda event: int(event.rsplit(b'id: ', 1)[1])
inner = lambda event: json.loads(next(line for line in event.decode().splitlines() if line.startswith('data:'))[5:])


def said(events):
    words = []
    for event in events:
        if b'[DONE]' in event: continue
        data = inner(event)
        if 'choices' in data: words += [ch['delta'].get('content') or '' for ch in data['choices']]
        elif data.get('type') == 'response.output_text.delta': words.append(data['delta'])
        elif data.get('type') == 'content_block_delta': words.append(data['delta'].get('text', ''))
    return ''.join(words)


hw = {'headworks': {'resume_window': 20}}
doors = {'chat': ('/v1/chat/completions', {'model': 'groq/llama-3.3-70b-versatile', 'stream': True, 'stream_options': {'include_usage': True}, 'messages': [{'role': 'user', 'content': 'hi'}], **hw}, b'[DONE]'),
         'responses': ('/v1/responses', {'model': 'groq/llama-3.3-70b-versatile', 'stream': True, 'input': 'hi', **hw}, b'response.completed'),
         'messages': ('/v1/messages', {'model': 'groq/llama-3.3-70b-versatile', 'stream': True, 'max_tokens': 100, 'messages': [{'role': 'user', 'content': 'hi'}], **hw}, b'message_stop')}
for door, (path, body, end) in doors.items():
    with Gate() as gate:
        before = len(up.seen)
        id_, window, first = post(path, body, 3)
        check(f'{door}: the window is told', window, '20000')
        gate.set()
        status, head, rest = read_on(id_, number(first[-1]))
        check(f'{door}: the rest', (status, head['content-type']), (200, 'text/event-stream'))
        check(f'{door}: no word is lost or doubled', said(first + rest), ''.join(WORDS))
        check(f'{door}: events are numbered without gaps', [number(e) for e in first + rest], list(range(1, len(first + rest) + 1)))
        check(f'{door}: it ends as the door ends streams', end in rest[-1])
        check(f'{door}: one call upstream', len(up.seen) - before, 1)
        check(f'{door}: all of it, once more', read_on(id_)[2] == first + rest)
        if door == 'chat': check('chat: what only the upstream knows survives', inner(rest[0]).get('house'), 7)
        if door == 'responses':
            answer = inner(rest[-1])['response']['id']
            check('responses: the answer is kept and can be gone on from', g.call(f'/v1/responses/{answer}')[0], 200)
        status, _, error = read_on(id_, key=other)
        check(f"{door}: another's key", (status, error['error']['headworks']['reason']), (404, 'STREAM_GONE'))
        check(f'{door}: gRPC is told where it belongs', failure(lambda: resume(id_, 0)), ('INVALID_ARGUMENT', 'INVALID_REQUEST'))
with Gate():
    id_, _, first = post(*doors['chat'][:2], 2); gone = pace['gone']
    check('DELETE: it is ended', g.call(f'/v1/streams/{id_}', method='DELETE')[::2], (200, {'id': id_, 'object': 'stream', 'cancelled': True}))
    check('DELETE: the upstream too', until(lambda: pace['gone'] == gone + 1))
    check('DELETE: once', g.call(f'/v1/streams/{id_}', method='DELETE')[0], 404)
    check('who reads on sees the error and no good end', b'[DONE]' not in read_on(id_)[2][-1] and 'error' in inner(read_on(id_)[2][-1]))
for last in ('x', '-1', '1.5'): check(f'last-event-id: {last}', g.call(f'/v1/streams/{id_}', headers={'last-event-id': last})[0], 400)
check('without a key', g.call(f'/v1/streams/{id_}', key=None)[0], 401)
check('without a window nothing is kept', (post(doors['chat'][0], {k: v for k, v in doors['chat'][1].items() if k != 'headworks'}, 1)[:2]), (None, None))
s, _, b = g.chat(headworks={'resume_window': -1})
check('a window below 0', (s, b['error']['param']), (400, 'headworks.resume_window'))
id_ = begin().initial_metadata()
id_ = dict(id_)['headworks-stream-id']
s, _, b = g.call(f'/v1/streams/{id_}')
check('REST is told where a gRPC stream belongs', (s, 'Resume' in b['error']['message']), (400, True))

# --- a gateway that stops: the stream without a client ends with it, and its record says so
with Gate():
    call = begin(); id_ = next(call).event.started.stream_id; call.cancel(); time.sleep(0.1)
    began = time.time(); g.stop(); check('it does not wait for clients that cannot come back', time.time() - began < 10)
    g.start()
    channel.close(); channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
    streams, usage = ssg.StreamServiceStub(channel), usg.UsageServiceStub(channel)
    check('after a restart it is gone', failure(lambda: resume(id_, 0)), ('NOT_FOUND', 'STREAM_GONE'))
    check('its record says that it was cut', record(id_).outcome, rec.ATTEMPT_OUTCOME_CANCELLED)
g.stop()
check.end()
