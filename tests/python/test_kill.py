"""L2, L8: kills the real gateway with SIGKILL under load, at random, in both ledger modes, and looks for what each mode promises:
after: every answer that was seen has a record (its own or UNKNOWN at its hold); before: every answer that was seen has its full record.
In both: nothing twice, the data folder opens, the counters are the sum of the records."""
import json, os, random, signal, sys, tempfile, threading, time, urllib.request
import grpc
from headworks.v1 import usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg
from gateway import ADMIN, Checks, Gateway

ROUNDS, WORKERS = int(os.environ.get('KILL_ROUNDS', 6)), 12
check = Checks()
dice = random.Random(int(os.environ.get('SEED', '0')) or time.time_ns())


def load(g, seen, stop):
    while not stop.is_set():
        stream = dice.random() < 0.4
        body = {'model': dice.choice(('sandbox/echo', 'sandbox/error-500')), 'models': ['sandbox/echo'], 'stream': stream, 'messages': [{'role': 'user', 'content': 'word ' * dice.randrange(1, 20)}]}
        request = urllib.request.Request(g.url + '/v1/chat/completions', json.dumps(body).encode(), {'authorization': 'Bearer ' + ADMIN})
        try:
            with urllib.request.urlopen(request, timeout=10) as r:
                id = r.headers['x-headworks-request-id']
                text = r.read().decode()
                if stream and '[DONE]' in text: seen[id] = int(text.split('"cost_nano_usd":')[1].split(',')[0])
                elif stream: seen.setdefault(id, None)            # part of an answer was seen
                else: seen[id] = json.loads(text)['headworks']['cost_nano_usd']
        except Exception: pass                                    # killed under it


for mode in ('after', 'before'):
    folder = tempfile.mkdtemp(prefix='headworks-kill-')
    seen, kills = {}, 0
    for round in range(ROUNDS):
        g = Gateway(f'[ledger]\nack = "{mode}"\n', folder=folder).start()
        stop = threading.Event()
        workers = [threading.Thread(target=load, args=(g, seen, stop), daemon=True) for _ in range(WORKERS)]
        for w in workers: w.start()
        time.sleep(dice.uniform(0.1, 1.2))
        g.stop(signal.SIGKILL); kills += 1; stop.set()
        for w in workers: w.join(15)
    with Gateway('', folder=folder) as g:
        stub = usg.UsageServiceStub(grpc.insecure_channel(f'127.0.0.1:{g.port}', options=[('grpc.max_receive_message_length', 64 << 20)]))
        records, token = [], ''
        while True:
            page = stub.ListRequests(us.ListRequestsRequest(page_size=1000, page_token=token), metadata=(('authorization', 'Bearer ' + ADMIN),))
            records += page.requests; token = page.next_page_token
            if not token: break
        by_id = {r.id: r for r in records}
        check(f'{mode}: nothing twice', len(by_id), len(records))
        check(f'{mode}: nothing missing', [i for i in seen if i not in by_id], [])
        unknown = [i for i, cost in seen.items() if cost is not None and i in by_id and by_id[i].outcome == u.ATTEMPT_OUTCOME_UNKNOWN]
        if mode == 'before': check('before: every answer seen to its end has its full record', unknown, [])
        wrong = [i for i, cost in seen.items() if cost is not None and i in by_id and by_id[i].outcome == u.ATTEMPT_OUTCOME_SUCCESS and by_id[i].usage.cost_nano_usd != cost]
        check(f'{mode}: costs are what the client was told', wrong, [])
        lost = [r for r in records if r.outcome == u.ATTEMPT_OUTCOME_UNKNOWN]
        check(f'{mode}: an unknown outcome costs its hold', all(r.usage.estimated and r.usage.cost_nano_usd == sum(a.hold_nano_usd for a in r.route.attempts) for r in lost))
        check(f'{mode}: the load was real', len(seen) > 20 * ROUNDS)
        print(f'{mode}: {kills} kills, {len(seen)} answers seen, {len(records)} records, {len(lost)} with outcome UNKNOWN, {len(unknown)} of those seen to their end')
check.end()
