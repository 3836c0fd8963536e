"""UsageService over a real gateway: sums equal the records to the nano-dollar, by every group and step; live calls; exports in
three forms; the same after kill -9, after records are taken away, and in a compacted folder."""
import collections, csv, io, json, os, signal, statistics, subprocess, threading
import grpc
from google.protobuf import timestamp_pb2
from headworks.v1 import key_service_pb2 as ks, key_service_pb2_grpc as ksg, policy_service_pb2 as ps, policy_service_pb2_grpc as psg, reason_pb2, usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg
from gateway import ADMIN, BINARY, Checks, Gateway

check = Checks()
META = (('authorization', 'Bearer ' + ADMIN),)
OPTIONS = [('grpc.max_receive_message_length', 64 << 20)]


def stub(g): return usg.UsageServiceStub(grpc.insecure_channel(f'127.0.0.1:{g.port}', options=OPTIONS))


def records(s):
    found, token = [], ''
    while True:
        page = s.ListRequests(us.ListRequestsRequest(page_size=1000, page_token=token), metadata=META)
        found += page.requests; token = page.next_page_token
        if not token: return found


def sums(s, *by, **more):
    filter = us.RequestFilter(**more.pop('filter', {}))
    return s.QueryUsage(us.QueryUsageRequest(group_by=by, filter=filter, page_size=1000, **more), metadata=META).rows


def compare(s, all, when):
    total = sums(s)[0]
    check(f'{when}: calls', total.request_count, len(all))
    check(f'{when}: cost to the nano-dollar', total.usage.cost_nano_usd, sum(r.usage.cost_nano_usd for r in all))
    check(f'{when}: tokens', (total.usage.prompt_tokens, total.usage.completion_tokens),
          (sum(a.usage.prompt_tokens for r in all for a in r.route.attempts), sum(a.usage.completion_tokens for r in all for a in r.route.attempts)))
    check(f'{when}: errors', total.error_count, sum(r.outcome not in (u.ATTEMPT_OUTCOME_SUCCESS, u.ATTEMPT_OUTCOME_CANCELLED) for r in all))
    check(f'{when}: markup to the nano-dollar', total.usage.markup_nano_usd, sum(r.usage.markup_nano_usd for r in all))
    target = lambda a: (a.provider, a.model)                        # another attempt at the same target is a retry, and no failover
    check(f'{when}: failovers', (total.failover_count, round(total.failover_rate, 9)),
          ((n := sum(len(r.route.attempts) > 1 and target(r.route.attempts[0]) != target(r.route.attempts[-1]) for r in all)), round(n / len(all), 9)))
    tried = sum(len(r.route.attempts) > 1 for r in all)
    check(f'{when}: some failed over ({n}) and some were retried only (of {tried})', 0 < n < tried)
    for name, value in (('key', lambda r: [r.key_id]), ('model', lambda r: [r.model]), ('user', lambda r: [r.user_id] if r.user_id else []), ('tag', lambda r: r.tags),
                        ('door', lambda r: [r.door]), ('metadata.env', lambda r: [r.metadata['env']] if 'env' in r.metadata else [])):
        want = collections.Counter()
        for r in all:
            for v in value(r): want[v] += r.usage.cost_nano_usd
        check(f'{when}: cost by {name}', {row.group[name]: row.usage.cost_nano_usd for row in sums(s, name)}, dict(want))
    want = collections.Counter()
    for r in all:
        for a in r.route.attempts: want[f'{a.provider}/{a.model}'] += a.usage.cost_nano_usd
        if not r.route.attempts: want[''] += 0                      # tried nothing, cost nothing
    check(f'{when}: cost of each attempt at what it tried', {row.group['served_by']: row.usage.cost_nano_usd for row in sums(s, 'served_by')}, dict(want))
    check(f'{when}: tags and users together, from the records', sum(row.request_count for row in sums(s, 'tag', 'user')), sum(len(set(r.tags)) for r in all if r.user_id))


def exact(values, q): return sorted(values)[int(q * (len(values) - 1) + 0.5)]


with Gateway() as g:
    s = stub(g)
    live, watching = [], threading.Event()
    def watch():
        call = s.WatchRequests(us.WatchRequestsRequest(), metadata=META); watching.set()
        try:
            for answer in call: live.append(answer.request.id)
        except grpc.RpcError: pass
    threading.Thread(target=watch, daemon=True).start(); watching.wait()
    g.chat(content='first')
    while not live: g.chat(content='until the watcher is told')     # the stream is open once it tells
    again = ps.Policy(name='again', fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model='sandbox/error-500')]), retries=ps.Retries(per_target=1, backoff={'nanos': 1_000_000}))
    psg.PolicyServiceStub(grpc.insecure_channel(f'127.0.0.1:{g.port}')).CreatePolicy(ps.CreatePolicyRequest(policy=again), metadata=META)
    check('tried twice at one target', g.chat('policy/again')[2]['error']['headworks']['attempts'], 2)
    check('served by the second', g.chat('sandbox/error-502', models=['sandbox/echo'])[0], 200)
    for n in range(40):
        g.chat(('sandbox/echo', 'sandbox/error-500', 'sandbox/reasoning', 'sandbox/error-429')[n % 4], 'word ' * n, models=['sandbox/echo'] if n % 3 else [],
               metadata={'env': ('prod', 'test')[n % 2]} if n % 5 else {}, headworks={'tags': ['a', 'b'][: n % 3], 'user_id': f'u{n % 4}' if n % 4 else None})
    # Refused by its budget, without an attempt: the reason is in the record and in the sums all the same.
    keys = ksg.KeyServiceStub(grpc.insecure_channel(f'127.0.0.1:{g.port}'))
    make = lambda **fields: keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(**fields)), metadata=META)
    poor = make(name='poor', budget=ks.Budget(limit_nano_usd=1))
    check('refused by its budget', g.chat(key=poor.secret, max_tokens=20)[0], 429)
    for _ in range(3): g.chat(key=make(name='dear', markup_basis_points=1234).secret, content='with a markup')
    all = records(s)
    [refused] = [r for r in all if r.key_id == poor.key.id]
    check('a call without an attempt says why', (refused.reason, len(refused.route.attempts)), (reason_pb2.REASON_BUDGET_EXCEEDED, 0))
    check('and is found by it', [r.id for r in s.ListRequests(us.ListRequestsRequest(filter=us.RequestFilter(reason=reason_pb2.REASON_BUDGET_EXCEEDED)), metadata=META).requests], [refused.id])
    check('and summed by it', {row.group['reason']: row.error_count for row in sums(s, 'reason')}.get('BUDGET_EXCEEDED'), 1)
    check('the markup is in the sums', sums(s)[0].usage.markup_nano_usd > 0)
    compare(s, all, 'running')
    check('every call was told live', set(r.id for r in all) - set(live) <= {r.id for r in all if r.start_time.ToNanoseconds() <= all[-1].start_time.ToNanoseconds()})
    good = [r.latency.ToNanoseconds() for r in all if r.outcome == u.ATTEMPT_OUTCOME_SUCCESS]
    row = sums(s)[0]
    for q, got in ((0.5, row.latency_p50), (0.9, row.latency_p90), (0.95, row.latency_p95), (0.99, row.latency_p99)):
        check(f'p{int(q * 100)} of latency is within 1 %', abs(got.ToNanoseconds() - exact(good, q)) <= exact(good, q) * 0.01 + 1)
    check('steps add up', sum(r.request_count for r in sums(s, step=us.USAGE_STEP_MINUTE)), len(all))
    check('months too', sum(r.request_count for r in sums(s, 'key', step=us.USAGE_STEP_MONTH)), len(all))
    reasons = sums(s, metrics=['requests', 'errors', 'errors_by_reason'])[0]
    check('errors by reason add up', sum(reasons.errors_by_reason.values()), reasons.error_count)
    check('what was not asked for is left out', (reasons.HasField('usage'), reasons.HasField('latency_p50')), (False, False))
    check('a filter', sum(r.request_count for r in sums(s, filter={'tag': 'b', 'user_id': 'u1'})), sum('b' in r.tags and r.user_id == 'u1' for r in all))
    end = timestamp_pb2.Timestamp(); end.FromNanoseconds(all[0].start_time.ToNanoseconds() + 30 * 86_400 * 10 ** 9)
    check('spend is projected to the end of the time', s.QueryUsage(us.QueryUsageRequest(filter=us.RequestFilter(end_time=end)), metadata=META).projected_cost_nano_usd > 0)
    for bad, field in ((dict(group_by=['colour']), 'group_by[0]'), (dict(metrics=['joy']), 'metrics[0]'), (dict(interval={'seconds': 7}), 'interval')):
        try: s.QueryUsage(us.QueryUsageRequest(**bad), metadata=META); check(f'{bad} is refused', False)
        except grpc.RpcError as e: check(f'{bad} names its field', (e.code(), field in e.details()), (grpc.StatusCode.INVALID_ARGUMENT, True))
    def export(form): return b''.join(p.data for p in s.ExportRequests(us.ExportRequestsRequest(format=form), metadata=META))
    lines = [json.loads(line) for line in export(us.EXPORT_FORMAT_JSON_LINES).splitlines()]
    table = list(csv.DictReader(io.StringIO(export(us.EXPORT_FORMAT_CSV).decode(), newline='')))
    parquet = export(us.EXPORT_FORMAT_PARQUET)
    check('exports hold every call', ({l['id'] for l in lines}, {l['id'] for l in table}), ({r.id for r in all},) * 2)
    check('and what each cost', sum(int(l['cost_nano_usd']) for l in table), sum(r.usage.cost_nano_usd for r in all))
    check('and its markup', sum(int(l['markup_nano_usd']) for l in table), sum(r.usage.markup_nano_usd for r in all))
    check('and why it failed', {l['id']: l['reason'] for l in lines}[refused.id], 'BUDGET_EXCEEDED')
    check('Parquet has its marks', (parquet[:4], parquet[-4:]), (b'PAR1', b'PAR1'))
    g.stop(signal.SIGKILL)
    with Gateway(folder=g.folder) as again: compare(stub(again), records(stub(again)), 'after kill -9')
    run = subprocess.run([BINARY, 'compact', '--config', str(again.file)], env=again.env, capture_output=True, text=True, timeout=60)
    check('compact', (run.returncode, 'values' in run.stdout), (0, True))
    print(run.stdout.strip(), run.stderr.strip())
    with Gateway(folder=g.folder) as small:
        compare(stub(small), records(stub(small)), 'compacted')
        # Stopped at once after a call, it complains of nothing, and the next start has the call in its sums.
        small.chat()
    told = (g.folder / 'log').read_text().split('stopping')[-1]
    check('a stop is quiet', [line for line in told.splitlines() if 'ERROR' in line or 'WARN' in line or 'stopped' not in line and line.strip().startswith('2')], [])
    with Gateway(folder=g.folder) as last: compare(stub(last), records(stub(last)), 'stopped and started')
check.end()
