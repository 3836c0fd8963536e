// The official OpenAI client for Node against the gateway: chat, stream, tools, structured output, errors.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';

const admin = 'hw-test-admin-key-0123456789';
const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } }];

// One loopback upstream that speaks three dialects.
const upstream = createServer((request, response) => {
  let raw = '';
  request.on('data', (d) => (raw += d)).on('end', () => {
    const body = JSON.parse(raw), path = request.url;
    const call = body.tools ? { name: 'get_weather', args: { city: 'Zürich' } } : null;
    const text = body.response_format || body.output_config || body.generationConfig?.responseJsonSchema ? '{"city":"Zürich"}' : 'Salut';
    const send = (type, out) => { response.writeHead(200, { 'content-type': type }); response.end(out); };
    const sse = (list, done = '') => send('text/event-stream', list.map((e) => (e.type ? `event: ${e.type}\n` : '') + `data: ${JSON.stringify(e)}\n\n`).join('') + done);
    if ((path + raw).includes('-400')) { response.writeHead(400, { 'content-type': 'application/json' }); return response.end('{"error":{"message":"no","type":"invalid_request_error","code":null}}'); }
    if (path.endsWith('/messages')) {
      const usage = { input_tokens: 3, output_tokens: 2 }, block = call ? { type: 'tool_use', id: 't1', name: call.name, input: call.args } : { type: 'text', text };
      if (!body.stream) return send('application/json', JSON.stringify({ id: 'm', model: body.model, content: [block], stop_reason: call ? 'tool_use' : 'end_turn', usage }));
      const delta = call ? { type: 'input_json_delta', partial_json: JSON.stringify(call.args) } : { type: 'text_delta', text };
      return sse([{ type: 'message_start', message: { id: 'm', model: body.model, usage } }, { type: 'content_block_start', index: 0, content_block: call ? { ...block, input: {} } : { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta }, { type: 'content_block_stop', index: 0 }, { type: 'message_delta', delta: { stop_reason: call ? 'tool_use' : 'end_turn' }, usage }, { type: 'message_stop' }]);
    }
    if (path.includes('/v1beta/')) {
      const answer = { candidates: [{ index: 0, finishReason: 'STOP', content: { parts: [call ? { functionCall: { name: call.name, args: call.args } } : { text }] } }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2 } };
      return path.includes('stream') ? sse([answer]) : send('application/json', JSON.stringify(answer));
    }
    const tool_calls = call ? [{ index: 0, id: 'c1', type: 'function', function: { name: call.name, arguments: JSON.stringify(call.args) } }] : undefined;
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }, head = { id: 'x', object: 'chat.completion', created: 1, model: body.model }, finish_reason = call ? 'tool_calls' : 'stop';
    if (!body.stream) return send('application/json', JSON.stringify({ ...head, choices: [{ index: 0, message: { role: 'assistant', content: call ? null : text, tool_calls }, finish_reason }], usage }));
    sse([{ ...head, choices: [{ index: 0, delta: { role: 'assistant', content: call ? null : text, tool_calls } }] }, { ...head, choices: [{ index: 0, delta: {}, finish_reason }] }, { ...head, choices: [], usage }], 'data: [DONE]\n\n');
  });
});
await new Promise((r) => upstream.listen(0, '127.0.0.1', r));
const up = upstream.address().port, folder = mkdtempSync(join(tmpdir(), 'headworks-')), port = 20000 + Math.floor(Math.random() * 20000);
writeFileSync(join(folder, 'c.toml'), `[server]\nlisten = "127.0.0.1:${port}"\n[store]\nurl = "sled:${folder}/data"\n` +
  [['openai', '/v1'], ['anthropic', ''], ['google', '']].map(([n, p]) => `[providers.${n}]\nbase_url = "http://127.0.0.1:${up}${p}"\napi_key_env = "FAKE"\n`).join(''));
const gateway = spawn(process.env.HEADWORKS_BIN ?? 'target/release/headworks', ['--config', join(folder, 'c.toml')], { env: { ...process.env, FAKE: 'k', HEADWORKS_ADMIN_KEY: admin }, stdio: 'ignore' });
try {
  for (let i = 0; i < 100; i++) { try { if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) break; } catch {} await new Promise((r) => setTimeout(r, 100)); }
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: admin, maxRetries: 0 });
  const messages = [{ role: 'user', content: 'Bonjour' }];
  let checks = 0;
  for (const model of ['openai/gpt-4o', 'anthropic/claude-sonnet-4-5', 'google/gemini-2.5-flash']) {
    const one = await client.chat.completions.create({ model, messages });
    assert.equal(one.choices[0].message.content, 'Salut', model); assert.equal(one.usage.total_tokens, 5, model);
    let text = '', usage;
    for await (const c of await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } })) { text += c.choices[0]?.delta.content ?? ''; usage = c.usage ?? usage; }
    assert.equal(text, 'Salut', model); assert.equal(usage.total_tokens, 5, model);
    const called = await client.chat.completions.create({ model, messages, tools });
    assert.deepEqual(JSON.parse(called.choices[0].message.tool_calls[0].function.arguments), { city: 'Zürich' }, model); assert.equal(called.choices[0].finish_reason, 'tool_calls', model);
    const final = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city: 'Zürich' }, model);
    const shaped = await client.chat.completions.parse({ model, messages, response_format: { type: 'json_schema', json_schema: { name: 'w', schema: { type: 'object', properties: { city: { type: 'string' } } } } } });
    assert.deepEqual(JSON.parse(shaped.choices[0].message.content), { city: 'Zürich' }, model);
    await assert.rejects(client.chat.completions.create({ model: model.split('/')[0] + '/x-400', messages }), (e) => e instanceof OpenAI.BadRequestError);
    checks += 9;
  }
  await assert.rejects(new OpenAI({ baseURL: client.baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
  await assert.rejects(client.chat.completions.create({ model: 'sandbox/error-429', messages }), (e) => e instanceof OpenAI.RateLimitError && e.headers.get('retry-after') === '1');
  await assert.rejects((async () => { for await (const _ of await client.chat.completions.create({ model: 'sandbox/break-mid-stream', messages, stream: true })); })(), /broke off/);
  console.log(`${checks + 3} checks passed`);
} finally { gateway.kill(); upstream.close(); }
