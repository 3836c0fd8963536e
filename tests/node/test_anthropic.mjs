// The official Anthropic client for Node against the gateway: messages, streams, tools, counts, errors.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';

const admin = 'hw-test-admin-key-0123456789';
const tools = [{ name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } }];

// One loopback upstream that speaks three dialects.
const seen = [];
const upstream = createServer((request, response) => {
  let raw = '';
  request.on('data', (d) => (raw += d)).on('end', () => {
    const body = JSON.parse(raw), path = request.url;
    seen.push({ path, headers: request.headers, body });
    const call = body.tools && !raw.includes('7 degrees') ? { name: 'get_weather', args: { city: 'Zürich' } } : null, text = 'Salut';
    const send = (type, out, status = 200) => { response.writeHead(status, { 'content-type': type }); response.end(out); };
    const sse = (list, done = '') => send('text/event-stream', list.map((e) => (e.type ? `event: ${e.type}\n` : '') + `data: ${JSON.stringify(e)}\n\n`).join('') + done);
    for (const status of [400, 500, 529]) if ((path + raw).includes(`-${status}`)) return send('application/json', JSON.stringify({ type: 'error', error: { message: 'no', type: status === 529 ? 'overloaded_error' : 'some_error', code: null } }), status);
    if (path.endsWith('/count_tokens')) return send('application/json', '{"input_tokens":2095}');
    if (path.endsWith(':countTokens')) return send('application/json', '{"totalTokens":31}');
    if (path.endsWith('/messages')) {
      const usage = { input_tokens: 3, output_tokens: 2 }, block = call ? { type: 'tool_use', id: 't1', name: call.name, input: call.args } : { type: 'text', text };
      const head = { id: 'msg_1', type: 'message', role: 'assistant', model: body.model, stop_reason: call ? 'tool_use' : 'end_turn', stop_sequence: null };
      if (!body.stream) return send('application/json', JSON.stringify({ ...head, content: [block], usage }));
      const delta = call ? { type: 'input_json_delta', partial_json: JSON.stringify(call.args) } : { type: 'text_delta', text };
      return sse([{ type: 'message_start', message: { ...head, content: [], stop_reason: null, usage } }, { type: 'content_block_start', index: 0, content_block: call ? { ...block, input: {} } : { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta }, { type: 'content_block_stop', index: 0 }, { type: 'message_delta', delta: { stop_reason: head.stop_reason, stop_sequence: null }, usage: { output_tokens: 2 } }, { type: 'message_stop' }]);
    }
    if (path.includes('/v1beta/')) {
      const answer = { candidates: [{ index: 0, finishReason: 'STOP', content: { parts: [call ? { functionCall: { name: call.name, args: call.args }, thoughtSignature: 'c2lnbmVk' } : { text }] } }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2 } };
      return path.includes('stream') ? sse([answer]) : send('application/json', JSON.stringify(answer));
    }
    const tool_calls = call ? [{ index: 0, id: 'c1', type: 'function', function: { name: call.name, arguments: JSON.stringify(call.args) } }] : undefined;
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }, head = { id: 'x', object: 'chat.completion', created: 1, model: body.model }, finish_reason = call ? 'tool_calls' : 'stop';
    if (!body.stream) return send('application/json', JSON.stringify({ ...head, choices: [{ index: 0, message: { role: 'assistant', content: call ? null : text, tool_calls }, finish_reason }], usage }));
    sse([{ ...head, choices: [{ index: 0, delta: { role: 'assistant', content: call ? null : text, tool_calls } }] }, { ...head, choices: [{ index: 0, delta: {}, finish_reason }] }, { ...head, choices: [], usage }], 'data: [DONE]\n\n');
  });
});
await new Promise((r) => upstream.listen(0, '127.0.0.1', r));
const free = () => new Promise((r) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => r(port)); }); });
const up = upstream.address().port, folder = mkdtempSync(join(tmpdir(), 'headworks-')), port = await free();
writeFileSync(join(folder, 'c.toml'), `[server]\nlisten = "127.0.0.1:${port}"\n[store]\nurl = "sled:${folder}/data"\n` +
  [['openai', '/v1'], ['anthropic', ''], ['google', '']].map(([n, p]) => `[providers.${n}]\nbase_url = "http://127.0.0.1:${up}${p}"\napi_key_env = "FAKE"\n`).join(''));
const gateway = spawn(process.env.HEADWORKS_BIN ?? 'target/release/headworks', ['--config', join(folder, 'c.toml')], { env: { ...process.env, FAKE: 'k', HEADWORKS_ADMIN_KEY: admin }, stdio: 'ignore' });
try {
  for (let i = 0; i < 100; i++) { try { if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) break; } catch {} await new Promise((r) => setTimeout(r, 100)); }
  const client = new Anthropic({ baseURL: `http://127.0.0.1:${port}`, apiKey: admin, maxRetries: 0 });
  const messages = [{ role: 'user', content: 'Bonjour' }], max_tokens = 100;
  let checks = 0;
  for (const model of ['openai/gpt-4o', 'anthropic/claude-sonnet-4-5', 'google/gemini-2.5-flash']) {
    const one = await client.messages.create({ model, messages, max_tokens });
    assert.equal(one.content[0].text, 'Salut', model); assert.equal(one.stop_reason, 'end_turn', model); assert.deepEqual([one.usage.input_tokens, one.usage.output_tokens], [3, 2], model); assert.ok(one.usage.cost > 0, model);
    const stream = client.messages.stream({ model, messages, max_tokens });
    let text = ''; stream.on('text', (t) => (text += t));
    const final = await stream.finalMessage();
    assert.equal(text, 'Salut', model); assert.deepEqual([final.usage.input_tokens, final.usage.output_tokens], [3, 2], model);
    const types = []; for await (const e of await client.messages.create({ model, messages, max_tokens, stream: true })) types.push(e.type);
    assert.deepEqual([types[0], types.at(-2), types.at(-1)], ['message_start', 'message_delta', 'message_stop'], model);
    const called = await client.messages.create({ model, messages, max_tokens, tools });
    assert.deepEqual(called.content[0].input, { city: 'Zürich' }, model); assert.equal(called.stop_reason, 'tool_use', model);
    const streamed = await client.messages.stream({ model, messages, max_tokens, tools }).finalMessage();
    assert.deepEqual(streamed.content[0].input, { city: 'Zürich' }, model); assert.equal(streamed.stop_reason, 'tool_use', model);
    const after = await client.messages.create({ model, max_tokens, tools, messages: [...messages, { role: 'assistant', content: streamed.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: streamed.content[0].id, content: '7 degrees' }] }] });
    assert.equal(after.content[0].text, 'Salut', model);
    if (model.startsWith('google')) assert.ok(JSON.stringify(seen.at(-1).body).includes('c2lnbmVk'), 'T1: the signature comes back');
    const counted = await client.messages.countTokens({ model, messages });
    assert.equal(model.startsWith('openai') ? counted.headworks.estimated : counted.input_tokens, { openai: true, anthropic: 2095, google: 31 }[model.split('/')[0]], model);
    const at = model.split('/')[0];
    await assert.rejects(client.messages.create({ model: `${at}/x-400`, messages, max_tokens }), (e) => e instanceof Anthropic.BadRequestError && e.error.type === 'error');
    await assert.rejects(client.messages.create({ model: `${at}/x-500`, messages, max_tokens }), (e) => e instanceof Anthropic.InternalServerError && e.headers.get('x-should-retry') === 'false');
    await assert.rejects(client.messages.create({ model: `${at}/x-529`, messages, max_tokens }), (e) => e.status === 529 && e.error.error.type === 'overloaded_error' && e.requestID.startsWith('req_'));
    checks += 20;
  }
  const beta = await client.beta.messages.create({ model: 'anthropic/claude-sonnet-4-5', messages, max_tokens, betas: ['a-1', 'b-2'], context_management: { edits: [] } });
  assert.equal(beta.content[0].text, 'Salut'); assert.equal(seen.at(-1).headers['anthropic-beta'], 'a-1,b-2'); assert.deepEqual(seen.at(-1).body.context_management, { edits: [] });
  await assert.rejects(new Anthropic({ baseURL: client.baseURL, apiKey: 'wrong', maxRetries: 0 }).messages.create({ model: 'sandbox/echo', messages, max_tokens }), Anthropic.AuthenticationError);
  await assert.rejects(client.messages.create({ model: 'sandbox/error-429', messages, max_tokens }), (e) => e instanceof Anthropic.RateLimitError && e.headers.get('retry-after') === '1');
  await assert.rejects(client.messages.stream({ model: 'sandbox/break-mid-stream', messages, max_tokens }).finalMessage(), /broke off/);
  const bearer = new Anthropic({ baseURL: client.baseURL, authToken: admin, apiKey: null, maxRetries: 0 });
  assert.equal((await bearer.messages.create({ model: 'sandbox/echo', messages, max_tokens })).content[0].text, 'Bonjour');
  console.log(`${checks + 7} checks passed`);
} finally { gateway.kill(); upstream.close(); }
