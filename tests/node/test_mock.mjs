// An independent mock of providers (aimock) as the upstream: OpenAI's chat and Responses, Anthropic, Gemini, Cohere and Bedrock,
// each whole and streamed, text, a call, and an error, for clients of OpenAI's chat, of Responses and of Anthropic's messages.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const admin = 'hw-test-admin-key-0123456789', folder = mkdtempSync(join(tmpdir(), 'headworks-'));
const port = () => new Promise((done) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); }); });
const [mockPort, gatewayPort] = [await port(), await port()];
const root = new URL('../..', import.meta.url).pathname, binary = process.env.HEADWORKS_BIN ?? join(root, 'target/release/headworks');
const said = 'Grüezi from a mock', usage = { input_tokens: 11, output_tokens: 7 };
writeFileSync(join(folder, 'fixtures.json'), JSON.stringify({ fixtures: [
  { match: { userMessage: 'weather' }, response: { toolCalls: [{ name: 'get_weather', arguments: '{"city":"Zürich"}' }, { name: 'get_weather', arguments: '{"city":"Basel"}' }], usage } },
  { match: { userMessage: 'fail' }, response: { error: { message: 'slow down', type: 'rate_limit_error' }, status: 429 } },
  { match: { userMessage: 'refuse' }, response: { error: { message: 'temperature is wrong', type: 'invalid_request_error' }, status: 400 } },
  { match: {}, response: { content: said, usage } },
] }));

// Where each dialect begins at the mock, models to ask for, and whether the mock tells what was used there.
const TABLE = [
  { provider: 'openai', base: '/v1', models: ['gpt-4o'], path: '/v1/chat/completions' },
  { provider: 'own', dialect: 'openai-responses', base: '/v1', models: ['gpt-5'], path: '/v1/responses' },
  { provider: 'anthropic', base: '', models: ['claude-sonnet-4-5'], path: '/v1/messages' },
  { provider: 'google', base: '', models: ['gemini-2.5-flash'], path: '/v1beta/models/gemini-2.5-flash:' },
  { provider: 'cohere', base: '', models: ['command-a-03-2025'], path: '/v2/chat' },
  { provider: 'bedrock', base: '', models: ['anthropic.claude-3-5-sonnet-20241022-v2:0', 'amazon.nova-pro-v1:0'], path: '/model/' },
];
const config = TABLE.map(({ provider, dialect, base }) => `[providers.${provider}]\nbase_url = "http://127.0.0.1:${mockPort}${base}"\n` +
  (dialect ? `dialect = "${dialect}"\n` : '') + (provider === 'bedrock' ? 'region = "us-east-1"\n' : 'api_key_env = "FAKE"\n')).join('');
writeFileSync(join(folder, 'headworks.toml'), `[server]\nlisten = "127.0.0.1:${gatewayPort}"\n[store]\nurl = "memory:"\n[engine]\nfailure_rest_ms = 0\n${config}`);
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')));
const children = [
  spawn(join(root, 'tests/node/node_modules/.bin/llmock'), ['-p', String(mockPort), '-f', join(folder, 'fixtures.json')], { stdio: 'ignore' }),
  spawn(binary, ['serve', '--config', join(folder, 'headworks.toml')], { stdio: 'ignore', env: { ...clean, FAKE: 'k', HEADWORKS_ADMIN_KEY: admin, AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' } }),
];
const ready = async (url) => { for (let n = 0; n < 200; n++) { try { if ((await fetch(url)).status < 500) return; } catch {} await new Promise((r) => setTimeout(r, 50)); } throw new Error(url + ' did not answer'); };
let checks = 0;
const equal = (got, want, what) => { assert.deepEqual(got, want, what); checks++; };
const calls = [{ city: 'Zürich' }, { city: 'Basel' }];
const schema = { type: 'object', properties: { city: { type: 'string' } } };
try {
  await Promise.all([ready(`http://127.0.0.1:${mockPort}/health`), ready(`http://127.0.0.1:${gatewayPort}/readyz`)]);
  const url = `http://127.0.0.1:${gatewayPort}`;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: admin, maxRetries: 0 }), claude = new Anthropic({ baseURL: url, apiKey: admin, maxRetries: 0 });
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters: schema } }];
  for (const { provider, models, path } of TABLE) for (const name of models) {
    const model = `${provider}/${name}`;
    // Chat completions.
    const ask = (content, more = {}) => client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more });
    const whole = await ask('hello');
    equal([whole.choices[0].message.content, whole.choices[0].finish_reason], [said, 'stop'], model);
    const call = (await ask('weather', { tools })).choices[0];
    equal([call.finish_reason, call.message.tool_calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)])], ['tool_calls', calls.map((args) => ['get_weather', args])], model);
    let text = '', finish, counted; const args = [];
    for await (const chunk of await ask('hello', { stream: true, stream_options: { include_usage: true } })) { text += chunk.choices[0]?.delta.content ?? ''; finish = chunk.choices[0]?.finish_reason ?? finish; counted = chunk.usage ?? counted; }
    equal([text, finish], [said, 'stop'], model);
    equal([counted?.prompt_tokens, counted?.completion_tokens], [whole.usage?.prompt_tokens, whole.usage?.completion_tokens], `${model}: A1 the stream counts the same`);
    for await (const chunk of await ask('weather', { stream: true, tools })) {
      for (const c of chunk.choices[0]?.delta.tool_calls ?? []) args[c.index] = (args[c.index] ?? '') + (c.function.arguments ?? '');
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    equal([args.map((a) => JSON.parse(a)), finish], [calls, 'tool_calls'], `${model}: T4 two calls`);
    for (const stream of [false, true]) {
      await assert.rejects(ask('fail', { stream }), (error) => error.status === 429 && error.error?.headworks?.reason !== undefined, model);
      await assert.rejects(ask('refuse', { stream }), (error) => error.status === 400 && error.error?.headworks?.reason === 'UPSTREAM_REJECTED', model);
      checks += 2;
    }
    // Responses.
    const answer = await client.responses.create({ model, input: 'hello' });
    equal([answer.output_text, answer.status], [said, 'completed'], model);
    const streamed = await client.responses.stream({ model, input: 'weather', tools: [{ type: 'function', name: 'get_weather', parameters: schema, strict: false }] }).finalResponse();
    equal(streamed.output.filter((i) => i.type === 'function_call').map((i) => JSON.parse(i.arguments)), calls, model);
    // Messages.
    const message = await claude.messages.create({ model, max_tokens: 99, messages: [{ role: 'user', content: 'hello' }] });
    equal([message.content, message.stop_reason], [[{ type: 'text', text: said }], 'end_turn'], model);
    const end = await claude.messages.stream({ model, max_tokens: 99, messages: [{ role: 'user', content: 'weather' }], tools: [{ name: 'get_weather', input_schema: schema }] }).finalMessage();
    equal([end.content.filter((b) => b.type === 'tool_use').map((b) => b.input), end.stop_reason], [calls, 'tool_use'], model);
    await assert.rejects(claude.messages.create({ model, max_tokens: 99, messages: [{ role: 'user', content: 'fail' }] }), (error) => error.status === 429, model); checks++;
    // The mock was asked in the dialect that was meant.
    const paths = (await (await fetch(`http://127.0.0.1:${mockPort}/__aimock/journal`)).json()).map((entry) => entry.path);
    assert.ok(paths.some((asked) => asked.startsWith(path)), `${model}: ${path} in ${[...new Set(paths)]}`); checks++;
  }
  console.log(`${checks} checks passed`);
} finally {
  children.forEach((child) => child.kill());
}
