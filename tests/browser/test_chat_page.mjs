// The TypeScript client's browser example in headless Chromium: streams by gRPC-Web, stops, and goes on after lost connections.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..'), client = join(root, 'clients/typescript'), plugins = join(root, 'sdk-gen/plugins/node/node_modules');
const require = createRequire(join(root, 'tests/node/package.json'));
const { chromium } = require('playwright-core'), esbuild = require('esbuild');
const work = mkdtempSync(join(tmpdir(), 'headworks-')), admin = 'hw-test-admin-key-0123456789';
if (!existsSync(join(client, 'node_modules'))) symlinkSync(plugins, join(client, 'node_modules'));
execFileSync(join(plugins, '.bin/tsc'), ['-p', 'tsconfig.json'], { cwd: client });
const bundled = await esbuild.build({
  entryPoints: [join(client, 'examples/browser/main.ts')], bundle: true, minify: true, format: 'esm', outfile: join(work, 'main.js'), nodePaths: [plugins], logLevel: 'error', metafile: true,
  alias: { '@headworks/client/web': join(client, 'dist/web.js') },
});
// Nothing of Node's, and no service that the page leaves out... but for what Client itself holds.
assert(!Object.keys(bundled.metafile.inputs).some((file) => file.includes('connect-node')), 'the page bundles the client for Node');

// A gateway that loses every connection after two events, told apart by its port; the real one cannot be asked to.
const { create, toBinary } = await import(join(plugins, '@bufbuild/protobuf/dist/esm/index.js'));
const v1 = await import(join(client, 'dist/v1.js'));
const words = ['one ', 'two ', 'three ', 'four'];
const all = [{ case: 'started', value: { streamId: 's1', servedBy: 'fake/x' } }, ...words.map((value) => ({ case: 'text', value })), { case: 'finished', value: { reason: 1 } }, { case: 'completed', value: {} }]
  .map((kind, at) => ({ sequence: BigInt(at + 1), kind }));
const frame = (flag, bytes) => { const head = Buffer.alloc(5); head[0] = flag; head.writeUInt32BE(bytes.length, 1); return Buffer.concat([head, bytes]); };
let resumes = [];
const fake = createServer((request, response) => {
  const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*,authorization', 'access-control-expose-headers': '*' };
  if (request.method === 'OPTIONS') { response.writeHead(204, cors); return response.end(); }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
    const resumed = request.url.endsWith('/Resume'), after = resumed ? Buffer.concat(chunks).at(-1) : 0;
    if (resumed) resumes.push(after);
    const schema = resumed ? v1.ResumeResponseSchema : v1.StreamResponseSchema, rest = all.slice(after);
    response.writeHead(200, { ...cors, 'content-type': 'application/grpc-web+proto' });
    const lose = rest.length > 4, sent = lose ? rest.slice(0, 2) : rest;
    for (const event of sent) response.write(frame(0, Buffer.from(toBinary(schema, create(schema, { event })))));
    if (lose) setImmediate(() => setTimeout(() => request.socket.destroy(), 50)); else response.end(frame(0x80, Buffer.from('grpc-status: 0\r\n')));
  });
});
const pages = createServer((request, response) => {
  const js = request.url.startsWith('/main.js');
  response.writeHead(200, { 'content-type': js ? 'text/javascript' : 'text/html' });
  response.end(readFileSync(js ? join(work, 'main.js') : join(client, 'examples/browser/index.html')));
});
for (const server of [fake, pages]) await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const origin = (server) => `http://127.0.0.1:${server.address().port}`;
const port = 20000 + Math.floor(Math.random() * 20000);
writeFileSync(join(work, 'c.toml'), `[server]\nlisten = "127.0.0.1:${port}"\ncors_origins = ["${origin(pages)}"]\n[store]\nurl = "sled:${work}/data"\n`);
const gateway = spawn(process.env.HEADWORKS_BIN ?? join(root, 'target/release/headworks'), ['--config', join(work, 'c.toml')], { env: { ...process.env, HEADWORKS_ADMIN_KEY: admin }, stdio: 'ignore' });
let browser, checks = 0;
const check = (what, good) => { assert(good, what); checks += 1; };
try {
  for (let i = 0; i < 100; i++) { try { if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) break; } catch {} await new Promise((r) => setTimeout(r, 100)); }
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const open = async (at, more = '') => {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.log('page:', String(error)));
    await page.goto(`${origin(pages)}/?gateway=${encodeURIComponent(at)}&key=${admin}${more}`);
    return page;
  };
  const until = (page, id, pattern) => page.waitForFunction(([id, source]) => new RegExp(source).test(document.getElementById(id).textContent), [id, pattern.source], { timeout: 30000 });
  const live = `http://127.0.0.1:${port}`;

  const { Headworks } = await import(join(client, 'dist/node.js'));
  const admins = new Headworks({ baseUrl: live, apiKey: admin });

  const echo = await open(live, `&model=sandbox/echo`);
  await echo.fill('#prompt', 'Hello from a page'); await echo.click('#send'); await until(echo, 'status', /^done/);
  check('the answer streams in', (await echo.textContent('#answer')) === 'Hello from a page');

  const slow = await open(live, `&model=sandbox/slow`);
  await slow.click('#send'); await until(slow, 'answer', /one/); await slow.click('#stop'); await until(slow, 'status', /^stopped/);
  check('stop leaves a part of the answer', !/eight/.test(await slow.textContent('#answer')));
  let outcome;
  for (let i = 0; i < 100 && outcome === undefined; i++) {
    for await (const record of admins.usage.listRequests({ filter: { servedBy: 'sandbox/slow' } })) outcome = record.outcome;
    if (outcome === undefined) await new Promise((r) => setTimeout(r, 100));
  }
  admins.close();
  check('stop ends the call at the gateway', outcome === v1.AttemptOutcome.CANCELLED);
  const wrong = await open(live, `&model=nobody/x`);
  await wrong.click('#send'); await until(wrong, 'status', /MODEL_NOT_FOUND/); check('errors carry their reason', true);

  const lost = await open(origin(fake));
  await lost.click('#send'); await until(lost, 'status', /^done/);
  check('lost connections are taken up without gaps or repeats', (await lost.textContent('#answer')) === words.join(''));
  check('from the last event seen', JSON.stringify(resumes) === '[2,4]' || JSON.stringify(resumes) === '[2]');
  resumes = [];
  const byHand = await open(origin(fake), '&retries=0');
  await byHand.click('#send'); await until(byHand, 'status', /^failed/);
  while (await byHand.isEnabled('#reconnect')) { await byHand.click('#reconnect'); await until(byHand, 'status', /^(failed|done)/); }
  check('the reconnect button goes on by hand', (await byHand.textContent('#answer')) === words.join(''));
  console.log(`${checks} checks passed`);
} finally { await browser?.close(); gateway.kill(); fake.close(); pages.close(); }
process.exit(0);
