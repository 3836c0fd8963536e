"""System calls of the real gateway: an fdatasync of the store's journal comes before every acknowledgement.
Mode after: before the answer's first byte (the intent). Mode before: one more before the answer's end (the record)."""
import json, os, re, shutil, subprocess, sys, tempfile, time, urllib.request
from gateway import ADMIN, BINARY, Checks, free_port

if not shutil.which('strace'):
    print('SKIPPED: strace is not installed (Debian: apt-get install strace)'); sys.exit(77)
check = Checks()
for mode in ('after', 'before'):
    folder, port = tempfile.mkdtemp(prefix='headworks-'), free_port()
    env = {**os.environ, 'HEADWORKS_ADMIN_KEY': ADMIN, 'HEADWORKS__SERVER__LISTEN': f'127.0.0.1:{port}', 'HEADWORKS__STORE__URL': f'sled:{folder}/data', 'HEADWORKS__LEDGER__ACK': mode}
    trace = f'{folder}/trace'
    p = subprocess.Popen(['strace', '-f', '-y', '-s', '64', '-e', 'trace=fdatasync,write,writev,sendto,sendmsg', '-o', trace, BINARY], env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f'http://127.0.0.1:{port}'
    for _ in range(200):
        try: urllib.request.urlopen(url + '/readyz', timeout=2); break
        except OSError: time.sleep(0.1)
    for n in range(20):
        body = json.dumps({'model': 'sandbox/echo', 'stream': n % 2 == 1, 'messages': [{'role': 'user', 'content': 'x'}]}).encode()
        urllib.request.urlopen(urllib.request.Request(url + '/v1/chat/completions', body, {'authorization': 'Bearer ' + ADMIN}), timeout=30).read()
        time.sleep(0.15)                                          # the record of one call lands before the next begins
    subprocess.run(['pkill', '-TERM', '-P', str(p.pid)]); p.wait(30)
    # In order: S a sync of the store that has returned, A an answer's beginning, D a stream's end.
    line, open_syncs = '', {}
    for text in open(trace):
        thread = text.split()[0]
        if 'fdatasync(' in text and '/data/journal' in text:
            if 'unfinished' in text: open_syncs[thread] = True
            elif '= 0' in text: line += 'S'
        elif 'fdatasync resumed' in text and open_syncs.pop(thread, False) and '= 0' in text: line += 'S'
        elif re.search(r'(write|writev|sendto|sendmsg)\(', text) and 'HTTP/1.1 200' in text and 'socket' in text.lower() or 'HTTP/1.1 200' in text and 'TCP' in text: line += 'A'
    answers = line.count('A') - 1                                 # the first is /readyz
    calls = line[line.index('A') + 1:]
    check(f'{mode}: every answer was seen', answers, 20)
    wrong = [part for part in calls.split('A')[:-1] if part.count('S') < 1]
    check(f'{mode}: a sync before every acknowledgement', wrong, [])
    syncs = line.count('S')
    check(f'{mode}: the records were synced too', syncs >= 40)
    print(f'{mode}: {answers} answers, {syncs} syncs of the store: {line[-60:]}')
check.end()
