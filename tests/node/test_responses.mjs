// The official OpenAI client for Node and the Vercel AI SDK at /v1/responses, and the latter at chat completions too.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOpenAI } from '@ai-sdk/openai';
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

const admin = 'hw-test-admin-key-0123456789';
const tools = [{ type: 'function', name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }, strict: true }];
const seen = [];

// One loopback upstream: chat completions and Anthropic's messages. It calls the tool once, then answers.
const upstream = createServer((request, response) => {
  let raw = '';
  request.on('data', (d) => (raw += d)).on('end', () => {
    const body = JSON.parse(raw);
    seen.push(body);
    const answered = JSON.stringify(body.messages).match(/"role":"tool"|tool_result/);
    const call = body.tools && !answered ? { name: 'get_weather', args: { city: 'Zürich' } } : null;
    const text = body.response_format || body.output_config || body.output_format ? '{"city":"Zürich"}' : 'Salut';
    const send = (type, out) => { response.writeHead(200, { 'content-type': type }); response.end(out); };
    const sse = (list, done = '') => send('text/event-stream', list.map((e) => (e.type ? `event: ${e.type}\n` : '') + `data: ${JSON.stringify(e)}\n\n`).join('') + done);
    if (request.url.endsWith('/messages')) {
      const usage = { input_tokens: 3, output_tokens: 2 }, block = call ? { type: 'tool_use', id: 't1', name: call.name, input: call.args } : { type: 'text', text };
      if (!body.stream) return send('application/json', JSON.stringify({ id: 'm', model: body.model, content: [block], stop_reason: call ? 'tool_use' : 'end_turn', usage }));
      const delta = call ? { type: 'input_json_delta', partial_json: JSON.stringify(call.args) } : { type: 'text_delta', text };
      return sse([{ type: 'message_start', message: { id: 'm', model: body.model, usage } }, { type: 'content_block_start', index: 0, content_block: call ? { ...block, input: {} } : { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta }, { type: 'content_block_stop', index: 0 }, { type: 'message_delta', delta: { stop_reason: call ? 'tool_use' : 'end_turn' }, usage }, { type: 'message_stop' }]);
    }
    const tool_calls = call ? [{ index: 0, id: 'c1', type: 'function', function: { name: call.name, arguments: JSON.stringify(call.args) } }] : undefined;
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }, head = { id: 'x', object: 'chat.completion', created: 1, model: body.model }, finish_reason = call ? 'tool_calls' : 'stop';
    if (!body.stream) return send('application/json', JSON.stringify({ ...head, choices: [{ index: 0, message: { role: 'assistant', content: call ? null : text, tool_calls }, finish_reason }], usage }));
    sse([{ ...head, choices: [{ index: 0, delta: { role: 'assistant', content: call ? null : text, tool_calls } }] }, { ...head, choices: [{ index: 0, delta: {}, finish_reason }] }, { ...head, choices: [], usage }], 'data: [DONE]\n\n');
  });
});
await new Promise((r) => upstream.listen(0, '127.0.0.1', r));
const probe = createServer(); await new Promise((r) => probe.listen(0, '127.0.0.1', r));
const up = upstream.address().port, folder = mkdtempSync(join(tmpdir(), 'headworks-')), port = probe.address().port;
await new Promise((r) => probe.close(r));
writeFileSync(join(folder, 'c.toml'), `[server]\nlisten = "127.0.0.1:${port}"\n[store]\nurl = "sled:${folder}/data"\n` +
  `[providers.chat]\ndialect = "openai"\nbase_url = "http://127.0.0.1:${up}/v1"\napi_key_env = "FAKE"\n[providers.anthropic]\nbase_url = "http://127.0.0.1:${up}"\napi_key_env = "FAKE"\n`);
const gateway = spawn(process.env.HEADWORKS_BIN ?? 'target/release/headworks', ['--config', join(folder, 'c.toml')], { env: { ...process.env, FAKE: 'k', HEADWORKS_ADMIN_KEY: admin }, stdio: 'ignore' });
let checks = 0;
const equal = (a, b, what) => { assert.deepEqual(a, b, what); checks++; };
try {
  for (let i = 0; i < 200; i++) { try { if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) break; } catch {} await new Promise((r) => setTimeout(r, 100)); }
  const baseURL = `http://127.0.0.1:${port}/v1`;
  const client = new OpenAI({ baseURL, apiKey: admin, maxRetries: 0 });
  const provider = createOpenAI({ baseURL, apiKey: admin });
  for (const model of ['chat/gpt-4o', 'anthropic/claude-sonnet-4-5']) {
    const one = await client.responses.create({ model, input: 'Bonjour' });
    equal([one.output_text, one.usage.total_tokens], ['Salut', 5], model);
    const stream = client.responses.stream({ model, input: 'Bonjour' });
    let text = '';
    stream.on('response.output_text.delta', (e) => (text += e.delta));
    equal([(await stream.finalResponse()).output_text, text], ['Salut', 'Salut'], model);
    const called = await client.responses.create({ model, input: 'Weather?', tools });
    const call = called.output.find((i) => i.type === 'function_call');
    equal(JSON.parse(call.arguments), { city: 'Zürich' }, model);
    const answer = await client.responses.create({ model, tools, previous_response_id: called.id, input: [{ type: 'function_call_output', call_id: call.call_id, output: '7' }] });
    equal([answer.output_text, answer.previous_response_id], ['Salut', called.id], model);
    const shaped = await client.responses.parse({ model, input: 'x', text: { format: { type: 'json_schema', name: 'w', schema: { type: 'object', properties: { city: { type: 'string' } } } } } });
    equal(JSON.parse(shaped.output_text), { city: 'Zürich' }, model);
    // Vercel AI SDK: Responses, which are its default, and chat completions.
    for (const served of [provider(model), provider.chat(model)]) {
      const said = await generateText({ model: served, prompt: 'Bonjour' });
      equal([said.text, said.finishReason, said.usage.totalTokens], ['Salut', 'stop', 5], model);
      let streamed = '';
      const flow = streamText({ model: served, prompt: 'Bonjour' });
      for await (const piece of flow.textStream) streamed += piece;
      equal([streamed, await flow.finishReason], ['Salut', 'stop'], model);
      const weather = tool({ description: 'weather', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => ({ city, degrees: 7 }) });
      for (const run of [(o) => generateText(o), async (o) => { const s = streamText(o); await s.consumeStream(); return { text: await s.text, steps: await s.steps }; }]) {
        // Two steps: at Responses the SDK refers to what was kept by item_reference.
        const agent = await run({ model: served, prompt: 'Weather?', tools: { get_weather: weather }, stopWhen: stepCountIs(3) });
        equal([agent.text, agent.steps.length, agent.steps[0].toolCalls[0].input], ['Salut', 2, { city: 'Zürich' }], model);
        equal(JSON.stringify(seen.at(-1).messages).includes('degrees'), true, model);
      }
      const object = await generateObject({ model: served, prompt: 'x', schema: z.object({ city: z.string() }) });
      equal(object.object, { city: 'Zürich' }, model);
    }
  }
  const broken = await (async () => { const kinds = []; try { for await (const e of await client.responses.create({ model: 'sandbox/break-mid-stream', input: 'one two three four five', stream: true })) kinds.push(e.type); } catch (e) { return [String(e), kinds.includes('response.completed')]; } return ['no error', true]; })();
  equal([/broke off/.test(broken[0]), broken[1]], [true, false], broken[0]);
  await assert.rejects(client.responses.create({ model: 'sandbox/error-429', input: 'x' }), (e) => e instanceof OpenAI.RateLimitError); checks++;
  await assert.rejects(generateText({ model: provider('sandbox/error-500'), prompt: 'x', maxRetries: 0 })); checks++;
  console.log(`${checks} checks passed`);
} finally { gateway.kill(); upstream.close(); }
