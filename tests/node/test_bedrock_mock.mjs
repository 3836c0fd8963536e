// An independent mock of Bedrock (aimock) behind the gateway: whole and streamed, text, a call, and an error.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';

const admin = 'hw-test-admin-key-0123456789', folder = mkdtempSync(join(tmpdir(), 'headworks-'));
const port = () => new Promise((done) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); }); });
const [mockPort, gatewayPort] = [await port(), await port()];
const root = new URL('../..', import.meta.url).pathname, binary = process.env.HEADWORKS_BIN ?? join(root, 'target/release/headworks');
writeFileSync(join(folder, 'fixtures.json'), JSON.stringify({ fixtures: [
  { match: { userMessage: 'weather' }, response: { toolCalls: [{ name: 'get_weather', arguments: '{"city":"Zürich"}' }] } },
  { match: { userMessage: 'fail' }, response: { error: { message: 'slow down', type: 'ThrottlingException' }, status: 429 } },
  { match: {}, response: { content: 'Grüezi from a mock' } },
] }));
writeFileSync(join(folder, 'headworks.toml'), `[server]\nlisten = "127.0.0.1:${gatewayPort}"\n[store]\nurl = "memory:"\n[providers.bedrock]\nbase_url = "http://127.0.0.1:${mockPort}"\nregion = "us-east-1"\n`);
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')));
const children = [
  spawn(join(root, 'tests/node/node_modules/.bin/llmock'), ['-p', String(mockPort), '-f', join(folder, 'fixtures.json')], { stdio: 'ignore' }),
  spawn(binary, ['serve', '--config', join(folder, 'headworks.toml')], { stdio: 'ignore', env: { ...clean, HEADWORKS_ADMIN_KEY: admin, AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' } }),
];
const ready = async (url) => { for (let n = 0; n < 200; n++) { try { if ((await fetch(url)).status < 500) return; } catch {} await new Promise((r) => setTimeout(r, 50)); } throw new Error(url + ' did not answer'); };
let checks = 0;
const equal = (got, want, what) => { assert.deepEqual(got, want, what); checks++; };
try {
  await Promise.all([ready(`http://127.0.0.1:${mockPort}/health`), ready(`http://127.0.0.1:${gatewayPort}/readyz`)]);
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${gatewayPort}/v1`, apiKey: admin, maxRetries: 0 });
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
  for (const model of ['bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0', 'bedrock/amazon.nova-pro-v1:0']) {
    const ask = (content, more = {}) => client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more });
    const whole = await ask('hello');
    equal([whole.choices[0].message.content, whole.choices[0].finish_reason], ['Grüezi from a mock', 'stop'], model);
    const call = (await ask('weather', { tools })).choices[0];
    equal([call.finish_reason, call.message.tool_calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)])], ['tool_calls', [['get_weather', { city: 'Zürich' }]]], model);
    let text = '', args = '', finish;
    for await (const chunk of await ask('hello', { stream: true })) { text += chunk.choices[0]?.delta.content ?? ''; finish = chunk.choices[0]?.finish_reason ?? finish; }
    equal([text, finish], ['Grüezi from a mock', 'stop'], model);
    for await (const chunk of await ask('weather', { stream: true, tools })) { args += (chunk.choices[0]?.delta.tool_calls ?? []).map((c) => c.function.arguments ?? '').join(''); finish = chunk.choices[0]?.finish_reason ?? finish; }
    equal([JSON.parse(args), finish], [{ city: 'Zürich' }, 'tool_calls'], model);
    await assert.rejects(ask('fail'), (error) => error.status === 429 && error.error?.headworks?.reason !== undefined); checks++;
  }
  console.log(`${checks} checks passed`);
} finally {
  children.forEach((child) => child.kill());
}
