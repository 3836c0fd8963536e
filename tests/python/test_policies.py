"""PolicyService from outside: kinds at work, versions, refusals by field, routes explained, simulations; R1 to R10 where a door shows them."""
import asyncio, json, time
import grpc
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from headworks.v1 import (chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, key_service_pb2 as ks, key_service_pb2_grpc as ksg, policy_service_pb2 as ps,
                          policy_service_pb2_grpc as psg, reason_pb2 as rs, usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from dialects import handler
from gateway import ADMIN, Checks, Gateway, Upstream

check = Checks()
AUTH = (('authorization', 'Bearer ' + ADMIN),)


async def upstream(up, request, body):
    """By model name: `status-N` fails, `N-then-good` fails once and then answers, `hang` never does; the rest answers."""
    model = (body or {}).get('model', '')
    if model == 'hang': await asyncio.sleep(30)
    if model.startswith('status-'):
        status = int(model.split('-')[1]); say = {404: 'The model does not exist', 402: 'pay'}.get(status, 'no')
        return up.web.json_response({'error': {'message': say, 'type': 'x'}}, status=status)
    if model == 'credit': return up.web.json_response({'error': {'message': 'Your credit balance is too low'}}, status=400)
    if model == 'too-long': return up.web.json_response({'error': {'message': 'maximum context length is 10 tokens', 'code': 'context_length_exceeded'}}, status=400)
    if model == 'filtered': return up.web.json_response({'error': {'message': 'content_filter', 'code': 'content_filter'}}, status=400)
    if model == 'file': return up.web.json_response({'error': {'message': 'No such File object: file-1'}}, status=404)
    if model == '503-then-good' and sum(b['model'] == model for _, _, b in up.seen) == 1:
        return up.web.json_response({'error': {'message': 'busy'}}, status=503)
    return await handler(up, request, body)


up = Upstream(upstream)
hosts = ''.join(f'[providers.{name}]\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key_env = "FAKE_KEY"\ndialect = "openai"\n{more}' for name, more in
                (('openai', ''), ('groq', ''), ('berlin', 'regions = ["eu"]\n'), ('paris', 'regions = ["eu-west-3"]\n')))
g = Gateway('[engine]\nfailure_rest_ms = 300\nbreaker_failures = 1000\n' + hosts).start()
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
chat, keys, policies, usage = (s(channel) for s in (csg.ChatServiceStub, ksg.KeyServiceStub, psg.PolicyServiceStub, usg.UsageServiceStub))
T = lambda model, **k: ps.PolicyTarget(model=model, **k)
chain = lambda *models: ps.FallbackChain(targets=[T(m) for m in models])
ask = lambda model, text='hi', **k: c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text=text)])], **k)
create = lambda **k: policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(**k)), metadata=AUTH).policy
complete = lambda model, text='hi', **k: chat.Complete(cs.CompleteRequest(chat=ask(model, text, **k)), metadata=AUTH).reply
explain = lambda model, text='hi', key='', **k: policies.ExplainRoute(ps.ExplainRouteRequest(chat=ask(model, text, **k), key_id=key), metadata=AUTH)


def failure(call):
    try: call(); return ('OK', '', [])
    except grpc.RpcError as e:
        reason, fields = '', []
        for d in (rpc_status.from_call(e) or []).details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if d.Unpack(info): reason = info.reason
            if d.Unpack(bad): fields = [v.field for v in bad.field_violations]
        return (e.code().name, reason, fields)


# --- kinds at work
create(name='thrift', cost=ps.CostPolicy(models=['openai/gpt-4o', 'openai/gpt-4o-mini']))
check('cost: the cheapest serves', complete('policy/thrift').served_by, 'openai/gpt-4o-mini')
create(name='spread', weighted=ps.WeightedPolicy(targets=[ps.WeightedTarget(model='openai/gpt-4o', weight=1), ps.WeightedTarget(model='groq/llama-3.3-70b-versatile', weight=1)]))
one = {complete('policy/spread', trace_id='t-1').served_by for _ in range(10)}
check('weighted: a trace keeps its target', len(one), 1)
check('weighted: many traces meet both', len({complete('policy/spread', trace_id=f't-{n}').served_by for n in range(40)}), 2)
create(name='quick', latency=ps.LatencyPolicy(models=['sandbox/slow', 'openai/gpt-4o'], explore=0.0))
for model in ('sandbox/slow', 'openai/gpt-4o'): g.chat(model, 'one two three', stream=True)
check('latency: the fastest serves', {complete('policy/quick').served_by for _ in range(5)}, {'openai/gpt-4o'})
branch = lambda to, **k: ps.PolicyBranch(model=to, conditions=[ps.Condition(**k)])
always, never = ps.TimeWindow(start='00:00', end='24:00'), ps.TimeWindow(start='00:00', end='24:00', days=[time.gmtime().tm_wday % 7 + 2 if time.gmtime().tm_wday < 6 else 2])
create(name='pick', conditional=ps.ConditionalPolicy(otherwise='sandbox/echo', branches=[branch('openai/gpt-4o', tag='gold'), branch('policy/thrift', min_input_tokens=500), branch('groq/llama-3.3-70b-versatile', model='policy/none')]))
check('conditional: a tag', complete('policy/pick', tags=['gold']).served_by, 'openai/gpt-4o')
check('conditional: a size, to a nested policy', complete('policy/pick', 'x' * 4000).served_by, 'openai/gpt-4o-mini')
check('conditional: otherwise', complete('policy/pick').served_by, 'sandbox/echo')
create(name='hours', conditional=ps.ConditionalPolicy(branches=[branch('sandbox/slow', time=never), branch('openai/gpt-4o', time=always)]))
check('conditional: a time', complete('policy/hours').served_by, 'openai/gpt-4o')
s, h, _ = g.chat('openai/gpt-4o', models=['openai/gpt-4o-mini'], provider={'sort': 'price'})
check('sort by REST', (s, h['x-headworks-model']), (200, 'openai/gpt-4o-mini'))
check('sort by gRPC', complete('openai/gpt-4o', routing=c.Routing(models=['openai/gpt-4o-mini'], sort=c.ROUTING_SORT_PRICE)).served_by, 'openai/gpt-4o-mini')
check('sort by an unknown word', (lambda b: (b[0], b[2]['error']['param']))(g.chat('openai/gpt-4o', provider={'sort': 'beauty'})), (400, 'provider.sort'))

# --- R5 by table, at the door: model -> (is the next one tried, reason where not)
for bad, want in (('openai/status-500', True), ('openai/status-503', True), ('openai/status-529', True), ('openai/status-429', True), ('openai/status-401', True), ('openai/status-402', True),
                  ('openai/status-403', True), ('openai/status-404', True), ('openai/status-408', True), ('openai/status-410', True), ('openai/credit', True), ('openai/too-long', True),
                  ('openai/status-400', False), ('openai/status-413', False), ('openai/status-422', False), ('openai/file', False), ('openai/filtered', False)):
    s, h, b = g.chat(bad, models=['sandbox/echo'])
    check(f'R5 {bad}', (s == 200, h['x-headworks-attempts']), (want, '2' if want else '1'))
    told = explain(bad, routing=c.Routing(models=['sandbox/echo'])).targets
    cooled = want and bad != 'openai/too-long'
    check(f'R5 R8 {bad} rests on the next pick', [t.target for t in told][:2], ['sandbox/echo', bad] if cooled else [bad, 'sandbox/echo'])
create(name='bold', fallback=chain('openai/filtered', 'sandbox/echo'), failover_on_content_policy=True)
check('R5 content policy, where the policy says so', complete('policy/bold').served_by, 'sandbox/echo')
made = create(name='again', fallback=chain('openai/503-then-good'), retries=ps.Retries(per_target=2, backoff=duration_pb2.Duration(nanos=1_000_000)), max_attempts=3)
r = complete('policy/again')
check('R5 a retry at the same target', ([a.outcome for a in r.route.attempts], made.attempt_budget), ([u.ATTEMPT_OUTCOME_FAILED, u.ATTEMPT_OUTCOME_SUCCESS], 3))
before = len(up.seen)
create(name='capped', fallback=chain('openai/status-500', 'openai/status-503', 'openai/status-529'), retries=ps.Retries(per_target=10, backoff=duration_pb2.Duration(nanos=1_000_000)), max_attempts=5)
check('R6 the budget is what it says', (failure(lambda: complete('policy/capped'))[:2], len(up.seen) - before), (('UNAVAILABLE', 'ALL_TARGETS_FAILED'), 5))
create(name='fast-fail', fallback=chain('openai/status-502'), on_all_down=ps.ALL_DOWN_FAIL_FAST)
first, (s, h, b) = g.chat('policy/fast-fail'), g.chat('policy/fast-fail')
check('R10 all down: nobody is called', (first[2]['error']['headworks']['attempts'], s, b['error']['headworks']['attempts'], h['retry-after']), (1, 503, 0, '1'))
told = explain('policy/fast-fail')
check('R10 told before', (rs.Reason.Name(told.reason), told.targets[0].place), ('REASON_ALL_TARGETS_FAILED', 0))
create(name='patient', timeouts=ps.Timeouts(total=duration_pb2.Duration(nanos=300_000_000)), fallback=chain('openai/hang', 'sandbox/echo'))
began = time.monotonic(); r = complete('policy/patient')
check('R9 a hang is given up in time', (r.served_by, rs.Reason.Name(r.route.attempts[0].reason), 0.3 <= time.monotonic() - began < 5), ('sandbox/echo', 'REASON_TIMEOUT', True))
s, h, b = g.chat('groq/status-504', models=['groq/status-429', 'groq/status-401', 'openai/gpt-4o'])
check('R4 three failures of three kinds, then a clean answer', (s, h['x-headworks-attempts'], b['choices'][0]['message']['content']), (200, '4', 'Grüezi from openai'))

# --- residency
eu = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='eu', regions=['eu'])), metadata=AUTH)
s, _, b = g.chat('openai/gpt-4o', models=['groq/llama-3.3-70b-versatile'], key=eu.secret)
check('a region is hard, and what was left out is named', (s, b['error']['headworks']['reason'], 'openai/gpt-4o' in b['error']['message'] and 'groq/' in b['error']['message']), (403, 'REGION_FORBIDDEN', True))
check('inside it', g.chat('openai/gpt-4o', models=['berlin/x'], key=eu.secret)[1]['x-headworks-model'], 'berlin/x')
create(name='home', regions=['eu'], fallback=chain('openai/gpt-4o', 'paris/x'))
check('a region by policy', complete('policy/home').served_by, 'paris/x')

# --- cache affinity
create(name='stay', fallback=chain('openai/status-503', 'openai/gpt-4o', 'openai/gpt-4o-mini'))
long = 'a long prompt ' * 500
check('who reads a prompt first', complete('policy/stay', long).served_by, 'openai/gpt-4o')
policies.UpdatePolicy(ps.UpdatePolicyRequest(policy=ps.Policy(name='stay', fallback=chain('openai/gpt-4o-mini', 'openai/gpt-4o')), update_mask=field_mask_pb2.FieldMask(paths=['fallback'])), metadata=AUTH)
check('keeps it', (complete('policy/stay', long).served_by, complete('policy/stay', 'short').served_by), ('openai/gpt-4o', 'openai/gpt-4o-mini'))
check('and the route says why', 'holds the cache' in explain('policy/stay', long).targets[0].message)
policies.UpdatePolicy(ps.UpdatePolicyRequest(policy=ps.Policy(name='stay', cache_affinity=ps.CACHE_AFFINITY_OFF), update_mask=field_mask_pb2.FieldMask(paths=['cache_affinity'])), metadata=AUTH)
check('unless the policy wants none', complete('policy/stay', long).served_by, 'openai/gpt-4o-mini')

# --- routes explained
before = len(up.seen)
told = explain('policy/pick', 'x' * 4000)
check('explained in order', [(t.target, t.place) for t in told.targets], [('openai/gpt-4o-mini', 1), ('openai/gpt-4o', 2)])
check('with reasons', 'branch 2 holds (input has at least 500 tokens)' in told.targets[0].message and 'policy thrift: expected to cost' in told.targets[0].message)
check('with holds and limits', told.targets[0].hold_nano_usd > 0 and told.targets[0].timeouts.first_token.seconds == 60)
told = explain('policy/thrift', routing=c.Routing(ignore=['openai/gpt-4o-mini']))
check('left out, with a reason', [(t.target, t.place, rs.Reason.Name(t.reason)) for t in told.targets], [('openai/gpt-4o', 1, 'REASON_UNSPECIFIED'), ('openai/gpt-4o-mini', 0, 'REASON_CAPABILITY_MISSING')])
told = explain('openai/gpt-4o', key=eu.key.id)
check('for another key', (rs.Reason.Name(told.reason), told.targets[0].target), ('REASON_REGION_FORBIDDEN', 'openai/gpt-4o'))
poor = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='poor', budget=ks.Budget(limit_nano_usd=1000))), metadata=AUTH).key.id
told = explain('openai/gpt-4o', key=poor)
check('what a budget does not cover', [(t.place, rs.Reason.Name(t.reason)) for t in told.targets], [(0, 'REASON_BUDGET_WOULD_EXCEED')])
check('no such key', failure(lambda: explain('openai/gpt-4o', key='key_none'))[:2], ('NOT_FOUND', 'NOT_FOUND'))
check('nobody was called', len(up.seen), before)

# --- versions
made = create(name='v', description='one', fallback=chain('sandbox/echo'))
change = lambda paths, **k: policies.UpdatePolicy(ps.UpdatePolicyRequest(policy=ps.Policy(name='v', **k), update_mask=field_mask_pb2.FieldMask(paths=paths)), metadata=AUTH).policy
two = change(['description'], description='two', etag=made.etag)
check('a field mask changes what it names', (two.version, two.description, two.fallback == made.fallback, two.etag != made.etag), (2, 'two', True, True))
check('a stale etag', failure(lambda: change(['description'], etag=made.etag))[:2], ('ABORTED', 'CONFLICT'))
check('an unknown path', failure(lambda: change(['nme'])), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['update_mask']))
check('no path', failure(lambda: change([])), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['update_mask']))
check('a kind that is not given', failure(lambda: change(['weighted'])), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['policy.weighted']))
three = change(['cost'], cost=ps.CostPolicy(models=['sandbox/echo']))
check('another kind', three.WhichOneof('kind'), 'cost')
versions = policies.ListPolicyVersions(ps.ListPolicyVersionsRequest(name='v', page_size=2), metadata=AUTH)
check('history, newest first', ([p.version for p in versions.policies], [bool(p.etag) for p in versions.policies]), ([3, 2], [True, False]))
rest = policies.ListPolicyVersions(ps.ListPolicyVersionsRequest(name='v', page_size=2, page_token=versions.next_page_token), metadata=AUTH)
check('and its end', ([p.description for p in rest.policies], rest.next_page_token), (['one'], ''))
check('an earlier version', policies.GetPolicy(ps.GetPolicyRequest(name='v', version=1), metadata=AUTH).policy.fallback, made.fallback)
check('no such version', failure(lambda: policies.GetPolicy(ps.GetPolicyRequest(name='v', version=9), metadata=AUTH))[:2], ('NOT_FOUND', 'NOT_FOUND'))
check('an update holds for the next call', complete('policy/v').route.policy, 'v')

# --- attached, and in use
create(name='outer', fallback=chain('policy/v', 'sandbox/slow'))
check('in use by a policy', failure(lambda: policies.DeletePolicy(ps.DeletePolicyRequest(name='v'), metadata=AUTH))[:2], ('ABORTED', 'CONFLICT'))
bound = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='bound', default_policy='outer')), metadata=AUTH)
check('attached to a key', g.chat('openai/gpt-4o', key=bound.secret)[1]['x-headworks-model'], 'sandbox/echo')
check('a policy that nobody made', failure(lambda: keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(default_policy='nothing')), metadata=AUTH)), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['key.default_policy']))
check('in use by a key', failure(lambda: policies.DeletePolicy(ps.DeletePolicyRequest(name='outer'), metadata=AUTH))[:2], ('ABORTED', 'CONFLICT'))
keys.RevokeKey(ks.RevokeKeyRequest(id=bound.key.id), metadata=AUTH)
team = keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(name='team', default_policy='outer')), metadata=AUTH).group
check('in use by a group', failure(lambda: policies.DeletePolicy(ps.DeletePolicyRequest(name='outer'), metadata=AUTH))[:2], ('ABORTED', 'CONFLICT'))
unmade = ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['group.default_policy'])
check('a group\'s policy that nobody made', failure(lambda: keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(default_policy='nothing')), metadata=AUTH)), unmade)
check('nor is it changed to one', failure(lambda: keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=team.id, default_policy='nothing'), update_mask={'paths': ['default_policy']}), metadata=AUTH)), unmade)
keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=team.id), update_mask={'paths': ['default_policy']}), metadata=AUTH)
policies.DeletePolicy(ps.DeletePolicyRequest(name='outer'), metadata=AUTH); policies.DeletePolicy(ps.DeletePolicyRequest(name='v'), metadata=AUTH)
check('history outlives it, and goes on', (policies.GetPolicy(ps.GetPolicyRequest(name='v', version=2), metadata=AUTH).policy.description, create(name='v', fallback=chain('sandbox/echo')).version), ('two', 4))

# --- bad policies: the field is named
W = lambda *pairs: ps.WeightedPolicy(targets=[ps.WeightedTarget(model=m, weight=w) for m, w in pairs])
C = lambda **k: ps.ConditionalPolicy(branches=[ps.PolicyBranch(model='sandbox/echo', conditions=[ps.Condition(**k)])])
for what, field, policy in (
        ('a circle', 'policy.fallback.targets[0].model', dict(name='v2', fallback=chain('policy/v2'))), ('no weights', 'policy.weighted.targets', dict(weighted=W())),
        ('weight 0', 'policy.weighted.targets[1].weight', dict(weighted=W(('sandbox/echo', 1), ('sandbox/slow', 0)))), ('weight below 0', 'policy.weighted.targets[0].weight', dict(weighted=W(('sandbox/echo', -1)))),
        ('no models', 'policy.latency.targets', dict(latency=ps.LatencyPolicy())), ('explore', 'policy.latency.explore', dict(latency=ps.LatencyPolicy(models=['sandbox/echo'], explore=2))),
        ('unknown model', 'policy.cost.models[1]', dict(cost=ps.CostPolicy(models=['sandbox/echo', 'nobody/x']))), ('unknown policy', 'policy.cost.models[0]', dict(cost=ps.CostPolicy(models=['policy/none']))),
        ('an empty condition', 'policy.conditional.branches[0].conditions[0]', dict(conditional=C())), ('a bad time', 'policy.conditional.branches[0].conditions[0].time.end', dict(conditional=C(time=ps.TimeWindow(start='10:00', end='25:00')))),
        ('a bad day', 'policy.conditional.branches[0].conditions[0].time.days[0]', dict(conditional=C(time=ps.TimeWindow(start='10:00', end='11:00', days=[8])))),
        ('retries', 'policy.retries.per_target', dict(fallback=chain('sandbox/echo'), retries=ps.Retries(per_target=11))), ('attempts', 'policy.max_attempts', dict(fallback=chain('sandbox/echo'), max_attempts=65)),
        ('a limit of 0', 'policy.fallback.targets[0].timeouts.total', dict(fallback=ps.FallbackChain(targets=[T('sandbox/echo', timeouts=ps.Timeouts(total=duration_pb2.Duration()))]))),
        ('a delay of 0', 'policy.hedging.delay', dict(fallback=chain('sandbox/echo'), hedging=ps.Hedging(delay=duration_pb2.Duration()))),
        ('a delay of an hour', 'policy.hedging.delay', dict(fallback=chain('sandbox/echo'), hedging=ps.Hedging(delay=duration_pb2.Duration(seconds=3600)))),
        ('more than every call', 'policy.hedging.max_percent', dict(fallback=chain('sandbox/echo'), hedging=ps.Hedging(max_percent=101))),
        ('a share below 0', 'policy.hedging.max_percent', dict(fallback=chain('sandbox/echo'), hedging=ps.Hedging(max_percent=-1))),
        ('a region without a name', 'policy.regions[0]', dict(fallback=chain('sandbox/echo'), regions=['']))):
    check(f'refused: {what}', failure(lambda: create(**{'name': 'bad', **policy})), ('INVALID_ARGUMENT', 'INVALID_REQUEST', [field]))
change = lambda fallback: policies.UpdatePolicy(ps.UpdatePolicyRequest(policy=ps.Policy(name='thrift', cost=ps.CostPolicy(models=fallback)), update_mask=field_mask_pb2.FieldMask(paths=['cost'])), metadata=AUTH)
check('refused: a circle by update', failure(lambda: change(['policy/pick'])), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['policy.cost.models[0]']))

# --- simulation
for n in range(20): g.chat('openai/gpt-4o', headers={'X-Title': 'x'}, headworks={'tags': ['sim']})
for n in range(10): g.chat('openai/gpt-4o-mini', headworks={'tags': ['sim']})
for n in range(5): g.chat('openai/status-500', headworks={'tags': ['sim']})
simulate = lambda **k: policies.SimulatePolicy(ps.SimulatePolicyRequest(tag='sim', **k), metadata=AUTH)
before = len(up.seen)
r = simulate(policy=ps.Policy(fallback=chain('openai/gpt-4o-mini')))
check('what really happened', (r.recorded.request_count, r.recorded.success_count, r.recorded.failover_count, r.recorded.attempt_count), (35, 30, 0, 35))
check('what would have', (r.simulated.request_count, r.simulated.success_count), (35, 35))
check('at its price', r.simulated.cost_nano_usd < r.recorded.cost_nano_usd and r.simulated.cost_nano_usd > 0)
check('by target', {t.target: (t.simulated.request_count, t.recorded.request_count) for t in r.targets}, {'openai/gpt-4o-mini': (35, 10), 'openai/gpt-4o': (0, 20), 'openai/status-500': (0, 5)})
check('latencies', r.simulated.latency_p50.nanos > 0 and r.recorded.latency_p99.nanos > 0)
r = simulate(policy=ps.Policy(fallback=chain('openai/status-500', 'openai/gpt-4o')), max_requests=30)
check('failures on record lead on', (r.simulated.request_count, r.simulated.success_count, r.simulated.failover_count > 0), (30, 30, True))
check('a policy by name inside', simulate(policy=ps.Policy(name='try', fallback=chain('policy/thrift'))).simulated.success_count, 35)
check('what is not on record is said', any('sandbox/json: nothing on record' in n for n in simulate(policy=ps.Policy(fallback=chain('sandbox/json'))).notes))
check('a bad policy', failure(lambda: simulate(policy=ps.Policy(fallback=chain('nobody/x')))), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['policy.fallback.targets[0].model']))
now = int(time.time())
check('a time range', simulate(policy=ps.Policy(fallback=chain('sandbox/echo')), end_time=timestamp_pb2.Timestamp(seconds=now - 3600)).recorded.request_count, 0)
check('a range the wrong way', failure(lambda: simulate(policy=ps.Policy(fallback=chain('sandbox/echo')), start_time=timestamp_pb2.Timestamp(seconds=now), end_time=timestamp_pb2.Timestamp(seconds=now - 1))), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['end_time']))
check('nobody was called by simulating', len(up.seen), before)
check('failovers by policy and model', 'headworks_failovers_total{provider="openai",model="other",policy="patient",reason="TIMEOUT"} 1' in g.call('/metrics')[2])
g.stop()
g.start()
check('policies are there after a restart', policies.GetPolicy(ps.GetPolicyRequest(name='thrift'), metadata=AUTH, wait_for_ready=True).policy.cost.models[1], 'openai/gpt-4o-mini')
g.stop()
check.end()
