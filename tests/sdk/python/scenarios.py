"""The scenarios by the Python client, sync; those about streams and calls by the async one too."""
import asyncio, base64, json, os, sys, threading, time, traceback, uuid
from datetime import timedelta

import grpc
from headworks import AsyncHeadworks, CallOptions, Headworks, HeadworksError, Reason, arguments, function, image, json_schema, tool_result, usd, user, v1

SPEC = {s['id']: s for s in json.load(open(os.environ['HEADWORKS_SCENARIOS']))}
client = Headworks()
fake = Headworks(os.environ['HEADWORKS_FAKE_URL'], 'k')
unique = lambda: uuid.uuid4().hex[:12]


def failure(call):
    try: call()
    except HeadworksError as error: return error
    raise AssertionError('no error came')


def complete(s):
    reply = client.complete(model=s['model'], messages=[user(s['prompt'])])
    assert reply.text == s['text'] and reply.served_by == s['model']
    assert reply.usage.prompt_tokens > 0 and reply.cost == usd(reply.usage.cost_nano_usd) > 0
    assert [a.outcome for a in reply.route.attempts] == [v1.AttemptOutcome.ATTEMPT_OUTCOME_SUCCESS]
    assert reply.finish_reason == v1.FinishReason.FINISH_REASON_STOP
    async def again():
        async with AsyncHeadworks() as c: return await c.complete(model=s['model'], messages=[user(s['prompt'])])
    assert asyncio.run(again()).text == s['text']


def stream(s):
    ask = dict(model=s['model'], messages=[user(s['prompt'])])
    events = list(client.stream(**ask))
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert events[0].WhichOneof('kind') == 'started' and events[-1].WhichOneof('kind') == 'completed'
    pieces = list(client.stream(**ask).text())
    assert len(pieces) > 1 and ''.join(pieces) == s['text']
    reply = client.stream(**ask).collect()
    assert reply.text == s['text'] == client.complete(**ask).text and reply.usage.cost_nano_usd > 0
    async def again():
        async with AsyncHeadworks() as c, c.stream(**ask) as events: return [piece async for piece in events.text()], events.so_far
    pieces, so_far = asyncio.run(again())
    assert ''.join(pieces) == so_far.text == s['text']


def tools(s):
    tool = function(s['tool'], 'Tells the weather', {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']})
    messages = [user(s['prompt'])]
    for ask in (client.complete, lambda **k: client.stream(**k).collect()):
        reply = ask(model=s['model'], messages=messages, tools=[tool], parallel_tool_calls=False)
        [call] = reply.tool_calls
        assert call.name == s['tool'] and 'city' in arguments(call) and reply.finish_reason == v1.FinishReason.FINISH_REASON_TOOL_CALLS
        after = ask(model=s['model'], messages=[*messages, reply.message, tool_result(call, s['result'])], tools=[tool])
        assert s['tool'] in after.text and not after.tool_calls, after.text


def structured(s):
    reply = client.complete(model=s['model'], messages=[user(s['prompt'])], output=json_schema(s['schema'], 'city'))
    assert isinstance(reply.json()[s['field']], str)


def picture(s):
    reply = client.complete(model=s['model'], messages=[user(s['prompt'], image(base64.b64decode(s['png']), 'image/png'))])
    assert reply.text == s['prompt'] and reply.usage.prompt_tokens >= s['min_input_tokens']


def record(request_id):
    for _ in range(100):
        try: return client.usage.get_request(id=request_id).request
        except HeadworksError as error:
            if error.reason != Reason.NOT_FOUND: raise
        time.sleep(0.1)
    raise AssertionError(f'no record of {request_id}')


def cancel(s):
    with client.stream(model=s['model'], messages=[user(s['prompt'])]) as events:
        next(events.text())
        request_id = events.so_far.raw.request_id
    assert record(request_id).outcome == v1.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED
    events = client.stream(model=s['model'], messages=[user(s['prompt'])])
    next(events.text())
    events.cancel()
    assert record(events.so_far.raw.request_id).outcome == v1.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED


def deadline(s):
    options = CallOptions(timeout=timedelta(milliseconds=s['timeout_ms']))
    error = failure(lambda: client.complete(model=s['model'], messages=[user(s['prompt'])], options=options))
    assert error.reason == s['reason'] and error.code == grpc.StatusCode.DEADLINE_EXCEEDED


def resume_live(s):
    ask = client.stream(model=s['model'], messages=[user(s['prompt'])], resume_window=timedelta(seconds=60))
    events = list(ask)
    rest = [r.event for r in client.streams.resume(stream_id=ask.stream_id, after_sequence=3)]
    assert [e.sequence for e in rest] == [e.sequence for e in events[3:]], rest


def resume(s):
    events = fake.stream(model=s['model'], messages=[user('x')])
    got = list(events)
    assert [e.sequence for e in got] == list(range(1, 10)) and events.so_far.text == s['text'] and events.resumes == 2
    async def again():
        async with AsyncHeadworks(os.environ['HEADWORKS_FAKE_URL'], 'k') as c:
            events = c.stream(model=s['model'], messages=[user('x')])
            return (await events.collect()).text, events.resumes
    assert asyncio.run(again()) == (s['text'], 2)


def no_resume(s):
    events = fake.stream(model=s['model'], messages=[user('x')], resume_window=timedelta(0))
    error = failure(lambda: list(events))
    assert error.lost and events.so_far.text == s['partial'] and events.resumes == 0


def reasons(s):
    for case in s['cases']:
        error = failure(lambda: client.complete(model=case['model'], messages=[user('x')]))
        assert error.reason == case['reason'] == Reason(case['reason']) and error.from_gateway and error.metadata['attempts'], error
    error = failure(lambda: Headworks(api_key='wrong').complete(model='sandbox/echo', messages=[user('x')]))
    assert error.reason == s['wrong_key'] and not error.retryable
    error = failure(lambda: client.complete(model='sandbox/echo'))
    assert error.reason == s['no_messages'] and 'messages' in error.violations[0].field, error.violations


def tries(model, test):
    return int(fake.complete(model='tries', messages=[], user=model, options=CallOptions(metadata={'x-test': test})).text)


def retry(s):
    for limit in (2, 1):
        test = unique()
        ask = lambda: fake.complete(model=s['model'], messages=[user('x')], options=CallOptions(metadata={'x-test': test}, max_retries=limit))
        if limit == 2: assert ask().text == s['text'] and tries(s['model'], test) == 3
        else: assert failure(ask).reason == Reason.OVERLOADED and tries(s['model'], test) == 2
    async def again():
        async with AsyncHeadworks(os.environ['HEADWORKS_FAKE_URL'], 'k') as c:
            return (await c.complete(model=s['model'], messages=[user('x')], options=CallOptions(metadata={'x-test': unique()}))).text
    assert asyncio.run(again()) == s['text']
    agent = fake.complete(model='agent', messages=[user('x')]).text
    assert agent.startswith('headworks-python/'), agent


def no_retry(s):
    for model in s['models']:
        test = unique()
        failure(lambda: fake.complete(model=model, messages=[user('x')], options=CallOptions(metadata={'x-test': test})))
        assert tries(model, test) == s['tries'], model


def paging(s):
    mark = unique()
    for at in range(s['keys']): client.keys.create_key(key=v1.Key(name=f'{mark}-{at}'))
    keys = client.keys.list_keys(page_size=s['page_size'])
    assert sum(key.name.startswith(mark) for key in keys) == s['keys']
    assert all(len(page.keys) <= s['page_size'] for page in keys.pages())
    async def again():
        async with AsyncHeadworks() as c: return [key.name async for key in c.keys.list_keys(page_size=s['page_size'])]
    assert sum(name.startswith(mark) for name in asyncio.run(again())) == s['keys']


def chain(s):
    name = 'sdk-' + unique()
    targets = [v1.PolicyTarget(model=model) for model in s['targets']]
    made = client.policies.create_policy(policy=v1.Policy(name=name, fallback=v1.FallbackChain(targets=targets))).policy
    assert made.version == 1 and client.policies.get_policy(name=name).policy.etag == made.etag
    return name


def policy(s):
    name = chain(s)
    reply = client.complete(model=f'policy/{name}', messages=[user(s['prompt'])])
    assert reply.text == s['text'] and reply.served_by == s['served_by'] and len(reply.route.attempts) == s['attempts']
    assert any(p.name == name for p in client.policies.list_policies())
    client.policies.delete_policy(name=name)


def explain(s):
    name = chain(s)
    told = client.policies.explain_route(chat=v1.Chat(model=f'policy/{name}', messages=[user('x')]))
    assert [t.target for t in told.targets][:2] == s['targets']


def budget(s):
    made = client.keys.create_key(key=v1.Key(name='poor', budget=v1.Budget(limit_nano_usd=s['limit_nano_usd'])))
    with Headworks(api_key=made.secret) as poor:
        error = failure(lambda: poor.complete(model=s['model'], messages=[user('x')]))
    assert error.reason == s['reason'] and not error.retryable and error.code == grpc.StatusCode.RESOURCE_EXHAUSTED


def usage(s):
    reply = client.complete(model=s['model'], messages=[user(s['prompt'])], tags=['sdk'])
    kept = record(reply.raw.request_id)
    assert kept.usage.cost_nano_usd == reply.usage.cost_nano_usd and list(kept.tags) == ['sdk'] and kept.served_by == s['model']


def usage_query(s):
    client.complete(model='sandbox/echo', messages=[user('x')])
    rows = list(client.usage.query_usage(group_by=[s['group_by']]))
    assert any(row.request_count > 0 and row.usage.cost_nano_usd > 0 for row in rows)


def watch(s):
    seen, ready = [], threading.Event()
    def listen():
        try:
            for told in client.usage.watch_requests(options=CallOptions(timeout=20)):
                seen.append(told.request.id)
                ready.set()
        except HeadworksError as error:
            seen.append(error); ready.set()
    threading.Thread(target=listen, daemon=True).start()
    for _ in range(20):
        reply = client.complete(model=s['model'], messages=[user(s['prompt'])])
        if ready.wait(0.5): break
    if seen and isinstance(seen[0], HeadworksError): raise seen[0]
    assert seen


def large(s):
    word = 'x' * s['word_bytes']
    reply = client.complete(model=s['model'], messages=[user(v1.Part(text='look'), v1.Part(image=v1.Image(data=word.encode(), mime_type='image/png')))])
    assert reply.text == 'look'


RUN = {'complete': complete, 'stream': stream, 'tools': tools, 'structured': structured, 'image': picture, 'cancel': cancel, 'deadline': deadline,
       'resume-live': resume_live, 'resume': resume, 'no-resume': no_resume, 'reasons': reasons, 'retry': retry, 'no-retry': no_retry, 'paging': paging,
       'policy': policy, 'explain': explain, 'budget': budget, 'usage': usage, 'usage-query': usage_query, 'watch': watch, 'large': large}
if __name__ == '__main__':
    for id_, scenario in SPEC.items():
        if sys.argv[1:] and id_ not in sys.argv[1:]: continue
        try:
            RUN[id_](scenario)
            print('PASS', id_, flush=True)
        except Exception as error:
            if isinstance(error, HeadworksError) and error.reason == Reason.NOT_IMPLEMENTED: print('UNSERVED', id_, flush=True)
            else:
                print(f'FAIL {id_}: {type(error).__name__}: {error}', flush=True)
                traceback.print_exc()
