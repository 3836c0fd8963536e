"""A gateway of our own for a test, and upstreams on loopback that speak the three dialects."""
import asyncio, contextlib, json, os, pathlib, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get('HEADWORKS_BIN', str(ROOT / 'target/release/headworks'))
ADMIN = 'hw-test-admin-key-0123456789'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Gateway:
    """The real binary on a free port. `config` is TOML added to its file; `env` its provider keys."""
    def __init__(self, config='', env=None, folder=None, store='sled'):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix='headworks-'))
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.file = self.folder / 'headworks.toml'
        self.file.write_text(f'[server]\nlisten = "127.0.0.1:{self.port}"\n[store]\nurl = "{"sled:" + str(self.folder / "data") if store == "sled" else "memory:"}"\n' + config
                             if '[server]' not in config else config.replace('@PORT@', str(self.port)).replace('@DATA@', str(self.folder / 'data')))
        self.env = {**os.environ, 'HEADWORKS_ADMIN_KEY': ADMIN, 'FAKE_KEY': 'sk-fake-upstream-key', **(env or {})}
        self.process = None

    def start(self):
        self.log = open(self.folder / 'log', 'ab')
        self.process = subprocess.Popen([BINARY, 'serve', '--config', str(self.file)], env=self.env, stdout=self.log, stderr=self.log)
        for _ in range(200):
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(self.url + '/readyz', timeout=5).status == 200: return self
            if self.process.poll() is not None: raise SystemExit('the gateway did not start:\n' + (self.folder / 'log').read_text()[-3000:])
            time.sleep(0.05)
        raise SystemExit('the gateway did not become ready:\n' + (self.folder / 'log').read_text()[-3000:])

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how); self.process.wait(40)
        self.log.close()

    def __enter__(self): return self.start()
    def __exit__(self, *_): self.stop()

    def call(self, path, body=None, key=ADMIN, headers=None, raw=None, method=None):
        """(status, headers, parsed body) of one REST call."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method or ('POST' if data is not None else 'GET'))
        if key: request.add_header('authorization', 'Bearer ' + key)
        for name, value in (headers or {}).items(): request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as r: status, head, text = r.status, r.headers, r.read()
        except urllib.error.HTTPError as e:
            status, head, text = e.code, e.headers, e.read()
        try: parsed = json.loads(text)
        except ValueError: parsed = text.decode('utf-8', 'replace')
        return status, head, parsed

    def chat(self, model='sandbox/echo', content='hi', **more):
        key = more.pop('key', ADMIN); headers = more.pop('headers', None)
        return self.call('/v1/chat/completions', {'model': model, 'messages': [{'role': 'user', 'content': content}], **more}, key=key, headers=headers)


def providers(port):
    """Configuration that points the three dialects at one loopback upstream."""
    return ''.join(f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}{path}"\napi_key_env = "FAKE_KEY"\n'
                   for name, path in (('openai', '/v1'), ('anthropic', ''), ('google', '')))


class Upstream:
    """Runs an aiohttp application in a thread. `seen` holds (path, headers, body) of every request."""
    def __init__(self, handler):
        from aiohttp import web
        self.web, self.handler, self.port, self.seen, self.open = web, handler, free_port(), [], 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, daemon=True).start()
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1): return
            time.sleep(0.02)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        async def answer(request):
            # A connection opened ahead of need: no call.
            if request.method == 'HEAD': return self.web.Response()
            raw = await request.read()
            self.seen.append((request.path_qs, dict(request.headers), json.loads(raw) if raw else None))
            self.open += 1
            try: return await self.handler(self, request, self.seen[-1][2])
            finally: self.open -= 1
        app = self.web.Application(client_max_size=256 << 20)
        app.router.add_route('*', '/{tail:.*}', answer)
        runner = self.web.AppRunner(app, access_log=None, handler_cancellation=True)
        self.loop.run_until_complete(runner.setup())
        self.loop.run_until_complete(self.web.TCPSite(runner, '127.0.0.1', self.port).start())
        self.loop.run_forever()


class Checks:
    """Counts what was checked, so that a test that checked nothing fails."""
    def __init__(self): self.passed, self.failed = 0, 0
    def __call__(self, what, got, want=True):
        if got == want: self.passed += 1
        else:
            self.failed += 1
            print(f'FAILED: {what}\n   got  {got!r}\n   want {want!r}', flush=True)
    def end(self):
        print(f'{self.passed} checks passed, {self.failed} failed')
        sys.exit(0 if self.passed and not self.failed else 1)
