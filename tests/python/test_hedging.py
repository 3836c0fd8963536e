"""Hedging from outside: an upstream with a slow tail, raced by the next; routes, records, sums, exports and metrics say so; losers cost and do not fail."""
import asyncio, json, time
import grpc
from google.protobuf import duration_pb2, field_mask_pb2
from headworks.v1 import (chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, key_service_pb2 as ks, key_service_pb2_grpc as ksg, policy_service_pb2 as ps,
                          policy_service_pb2_grpc as psg, stream_service_pb2 as ss, stream_service_pb2_grpc as ssg, usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from dialects import handler
from gateway import ADMIN, Checks, Gateway, Upstream

check = Checks()
AUTH = (('authorization', 'Bearer ' + ADMIN),)
cancelled = []


async def upstream(up, request, body):
    """Prompts that begin with `slow` wait for long at the first host; the second answers at once."""
    text = json.dumps((body or {}).get('messages', ''))
    if request.path.startswith('/first') and 'slow' in text:
        try: await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(text); raise
    if request.path.startswith('/second') and 'refused' in text: return up.web.json_response({'error': {'message': 'busy'}}, status=503)
    if request.path.startswith('/first') and 'refused' in text: await asyncio.sleep(0.4)
    return await handler(up, request, body)


up = Upstream(upstream)
hosts = ''.join(f'[providers.{name}]\nbase_url = "http://127.0.0.1:{up.port}/{path}/v1"\napi_key_env = "FAKE_KEY"\ndialect = "openai"\n' for name, path in (('openai', 'first'), ('groq', 'second')))
g = Gateway('[engine]\nfailure_rest_ms = 1\n' + hosts).start()
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
chat, streams, keys, policies, usage = (s(channel) for s in (csg.ChatServiceStub, ssg.StreamServiceStub, ksg.KeyServiceStub, psg.PolicyServiceStub, usg.UsageServiceStub))
FIRST, SECOND = 'openai/gpt-4o', 'groq/llama-3.3-70b-versatile'
ms = lambda n: duration_pb2.Duration(seconds=n // 1000, nanos=n % 1000 * 1_000_000)
chain = lambda *models: ps.FallbackChain(targets=[ps.PolicyTarget(model=m) for m in models])
ask = lambda model, text='hi', **k: c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text=text)])], **k)
create = lambda **k: policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(**k)), metadata=AUTH).policy
complete = lambda model, text='hi', **k: chat.Complete(cs.CompleteRequest(chat=ask(model, text, **k)), metadata=AUTH).reply
explain = lambda model, text='hi': policies.ExplainRoute(ps.ExplainRouteRequest(chat=ask(model, text)), metadata=AUTH)
ways = lambda route: [(f'{a.provider}/{a.model}', a.ordinal, u.AttemptOutcome.Name(a.outcome)[16:], a.hedge) for a in route.attempts]
LOST, WON = (FIRST, 1, 'CANCELLED', False), (SECOND, 2, 'SUCCESS', True)

made = create(name='prompt', fallback=chain(FIRST, SECOND), hedging=ps.Hedging(delay=ms(50), max_percent=100))
check('the policy says so', (made.hedging.delay.nanos, made.hedging.max_percent), (50_000_000, 100))

# --- unary, streamed, REST: the second serves, the first is cancelled and paid
reply = complete('policy/prompt', 'slow one', tags=['hedged'])
check('unary: the second serves', (reply.served_by, ways(reply.route)), (SECOND, [LOST, WON]))
lost, won = reply.route.attempts
check('the loser says to whom it lost', lost.message, f'attempt 2 at {SECOND} answered first')
check('what it read is paid, by estimate', (lost.usage.estimated, lost.usage.input_tokens > 0, lost.usage.cost_nano_usd > 0, lost.hold_nano_usd > 0), (True, True, True, True))
check('the call costs both', reply.usage.cost_nano_usd, lost.usage.cost_nano_usd + won.usage.cost_nano_usd)
check('its tokens are those of the answer', reply.usage.output_tokens, won.usage.output_tokens)
last = [e for e in streams.Stream(ss.StreamRequest(chat=ask('policy/prompt', 'slow two', tags=['hedged'])), metadata=AUTH)][-1]
check('streamed', ways(last.event.completed.route), [LOST, WON])
status, head, body = g.chat('policy/prompt', 'slow three', headworks={'tags': ['hedged']})
check('REST', (status, head['x-headworks-model'], [(w['model'], w['outcome'], w.get('hedge', False)) for w in body['headworks']['route']]), (200, SECOND, [(FIRST, 'cancelled', False), (SECOND, 'success', True)]))
for _ in range(200):
    if len(cancelled) == 3: break
    time.sleep(0.02)
check('the upstream saw that nobody waits any more', sorted(json.loads(t)[-1]['content'] for t in cancelled), ['slow one', 'slow three', 'slow two'])

# --- in time: one attempt; the second fails: the first is waited for
check('in time', ways(complete('policy/prompt', 'quick', tags=['hedged']).route), [(FIRST, 1, 'SUCCESS', False)])
r = complete('policy/prompt', 'refused', tags=['hedged'])
check('the second fails, the first serves', (r.served_by, ways(r.route)), (FIRST, [(SECOND, 2, 'FAILED', True), (FIRST, 1, 'SUCCESS', False)]))
time.sleep(0.1)

# --- told before
told = explain('policy/prompt').hedge
check('explained', (told.delay.nanos, told.target, told.message), (50_000_000, SECOND, 'set by the policy; at most 100 % of calls get a second attempt'))
create(name='wise', fallback=chain(FIRST, SECOND), hedging=ps.Hedging())
told = explain('policy/wise').hedge
check('learned: not before eight answers', (told.HasField('delay'), told.target, 'before 8 answers; it has given' in told.message), (False, '', True))
for n in range(8): list(streams.Stream(ss.StreamRequest(chat=ask(FIRST, 'quick')), metadata=AUTH))
told = explain('policy/wise').hedge
check('learned: from eight', (told.delay.seconds == 0 and told.delay.nanos >= 10_000_000, told.target, 'four deviations; at most 10 %' in told.message), (True, SECOND, True))
check('a learned delay at work', ways(list(streams.Stream(ss.StreamRequest(chat=ask('policy/wise', 'slow four')), metadata=AUTH))[-1].event.completed.route), [LOST, WON])
create(name='alone', fallback=chain(FIRST), hedging=ps.Hedging(delay=ms(50)))
check('nobody to race', explain('policy/alone').hedge.message, 'there is no other target that is well')
create(name='plain', fallback=chain(FIRST, SECOND))
check('a policy that does not hedge', explain('policy/plain').HasField('hedge'), False)
policies.UpdatePolicy(ps.UpdatePolicyRequest(policy=ps.Policy(name='plain', hedging=ps.Hedging(delay=ms(7))), update_mask=field_mask_pb2.FieldMask(paths=['hedging'])), metadata=AUTH)
check('and now does', explain('policy/plain').hedge.delay.nanos, 7_000_000)

# --- the budget has room for one hold: no second attempt
hold = won.hold_nano_usd + lost.hold_nano_usd
poor = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='poor', budget=ks.Budget(limit_nano_usd=hold - 1, fit=ks.BUDGET_FIT_REFUSE))), metadata=AUTH)
poorly = (('authorization', 'Bearer ' + poor.secret),)
r = chat.Complete(cs.CompleteRequest(chat=ask('policy/prompt', 'refused by the budget')), metadata=poorly).reply
check('a hold that is refused', (ways(r.route), any(n.startswith(f'no second attempt at {SECOND}') for n in r.route.notes)), ([(FIRST, 1, 'SUCCESS', False)], True))

# --- on record
time.sleep(0.3)
only = us.RequestFilter(tag='hedged')
record = usage.GetRequest(us.GetRequestRequest(id=reply.route.request_id), metadata=AUTH).request
check('the record has the same route', (ways(record.route), record.served_by, record.usage.cost_nano_usd), ([LOST, WON], SECOND, reply.usage.cost_nano_usd))
check('five calls on record', len(usage.ListRequests(us.ListRequestsRequest(filter=only), metadata=AUTH).requests), 5)
row = usage.QueryUsage(us.QueryUsageRequest(filter=only), metadata=AUTH).rows[0]
check('summed', (row.request_count, row.error_count, row.hedge_count, row.failover_count, row.attempt_count, row.failed_attempt_count), (5, 0, 4, 0, 9, 1))
text = g.call('/metrics')[2]
count = lambda name: sum(float(l.rsplit(' ', 1)[1]) for l in text.splitlines() if l.startswith(name + '{'))
check('counted', (count('headworks_hedges_total'), count('headworks_hedges_won_total'), count('headworks_failovers_total')), (5, 4, 0))
check('by target and policy', 'headworks_hedges_won_total{provider="groq",model="llama-3.3-70b-versatile",policy="prompt"} 3' in text)
check('no target failed by losing', 'provider="openai",model="gpt-4o",reason="CANCELLED"} 4' in text)

# --- replayed: losers are no failures
r = policies.SimulatePolicy(ps.SimulatePolicyRequest(policy=ps.Policy(fallback=chain(FIRST, SECOND)), tag='hedged'), metadata=AUTH)
check('simulated', (r.recorded.failover_count, r.recorded.attempt_count, r.simulated.failover_count, r.simulated.success_count), (0, 9, 0, 5))
check('and the losers are named', any('3 attempts on record lost a race' in n for n in r.notes))
g.stop()
check.end()
