// A page of another origin streams by gRPC-Web in headless Chromium; one whose origin is not allowed is stopped by the browser.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url)), root = resolve(here, '../..'), modules = join(root, 'tests/node/node_modules');
const require = createRequire(join(root, 'tests/node/package.json'));
const { chromium } = require('playwright-core'), esbuild = require('esbuild');
const work = mkdtempSync(join(tmpdir(), 'headworks-')), admin = 'hw-test-admin-key-0123456789';
mkdirSync(join(work, 'gen'));
const protos = readdirSync(join(root, 'proto/headworks/v1')).map((f) => `headworks/v1/${f}`);
execFileSync(join(root, 'target/tools/venv/bin/python'), ['-m', 'grpc_tools.protoc', `-I${root}/proto`, `--plugin=protoc-gen-es=${modules}/.bin/protoc-gen-es`, `--es_out=${work}/gen`, '--es_opt=target=ts', ...protos]);
writeFileSync(join(work, 'gen/headworks.ts'), 'export * from "./headworks/v1/chat_pb";\nexport * from "./headworks/v1/stream_service_pb";\n');
writeFileSync(join(work, 'page.ts'), readFileSync(join(here, 'page.ts')));
await esbuild.build({ entryPoints: [join(work, 'page.ts')], bundle: true, format: 'esm', outfile: join(work, 'page.js'), nodePaths: [modules], logLevel: 'error' });
const serve = () => new Promise((ready) => {
  const server = createServer((request, response) => {
    const js = request.url.startsWith('/page.js');
    response.writeHead(200, { 'content-type': js ? 'text/javascript' : 'text/html' });
    response.end(js ? readFileSync(join(work, 'page.js')) : '<!doctype html><p id=text></p><p id=kinds></p><p id=end></p><script type=module src=/page.js></script>');
  });
  server.listen(0, '127.0.0.1', () => ready(server));
});
const [allowed, stranger] = [await serve(), await serve()];
const port = 20000 + Math.floor(Math.random() * 20000), origin = (s) => `http://127.0.0.1:${s.address().port}`;
writeFileSync(join(work, 'c.toml'), `[server]\nlisten = "127.0.0.1:${port}"\ncors_origins = ["${origin(allowed)}"]\n[store]\nurl = "sled:${work}/data"\n`);
const gateway = spawn(process.env.HEADWORKS_BIN ?? join(root, 'target/release/headworks'), ['--config', join(work, 'c.toml')], { env: { ...process.env, HEADWORKS_ADMIN_KEY: admin }, stdio: 'ignore' });
let browser;
try {
  for (let i = 0; i < 100; i++) { try { if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) break; } catch {} await new Promise((r) => setTimeout(r, 100)); }
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const visit = async (server, model, key = admin) => {
    const page = await browser.newPage();
    await page.goto(`${origin(server)}/?gateway=http://127.0.0.1:${port}&key=${key}&model=${encodeURIComponent(model)}`);
    await page.waitForFunction(() => document.getElementById('end').textContent !== '', null, { timeout: 30000 });
    return Object.fromEntries(await Promise.all(['text', 'kinds', 'end'].map(async (id) => [id, await page.textContent('#' + id)])));
  };
  const good = await visit(allowed, 'sandbox/echo');
  assert.deepEqual([good.text, good.end], ['one two three', 'done']);
  assert.match(good.kinds, /^started (text )+finished completed $/);
  assert.match((await visit(allowed, 'nobody/x')).end, /not_found.*no provider/);
  assert.match((await visit(allowed, 'sandbox/echo', 'wrong')).end, /unauthenticated/);
  const broken = await visit(allowed, 'sandbox/break-mid-stream');
  assert.match(broken.end, /unavailable.*broke off/); assert.notEqual(broken.text, '');
  assert.match((await visit(stranger, 'sandbox/echo')).end, /error/);
  console.log('6 checks passed');
} finally { await browser?.close(); gateway.kill(); allowed.close(); stranger.close(); }
process.exit(0);
