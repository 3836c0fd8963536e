// The scenarios by the TypeScript client: native gRPC by default; with `web`, gRPC-Web.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

const web = process.argv[2] === 'web';
const sdk = await import(`../../../clients/typescript/dist/${web ? 'web' : 'node'}.js`);
const { argumentsOf, Code, durationFromMs, functionTool, Headworks, HeadworksError, image, jsonSchema, Reason, toolResult, usd, user, v1 } = sdk;
const env = process.env, spec = JSON.parse(readFileSync(env.HEADWORKS_SCENARIOS, 'utf8'));
const connect = (more = {}) => new Headworks({ baseUrl: env.HEADWORKS_URL, apiKey: env.HEADWORKS_API_KEY, ...more });
const client = connect(), fake = connect({ baseUrl: env.HEADWORKS_FAKE_URL, apiKey: 'k' });
const unique = () => randomUUID().slice(0, 8);
const list = async (items) => { const out = []; for await (const one of items) out.push(one); return out; };
const failure = async (call) => {
  try { await call(); } catch (error) { assert(error instanceof HeadworksError, String(error)); return error; }
  assert.fail('no error came');
};
const record = async (id) => {
  for (let i = 0; i < 100; i++) {
    try { return (await client.usage.getRequest({ id })).request; } catch (error) { if (error.reason !== Reason.NOT_FOUND) throw error; }
    await new Promise((r) => setTimeout(r, 100));
  }
  assert.fail(`no record of ${id}`);
};
const tries = async (model, test) => Number((await fake.complete({ model: 'tries', user: model }, { headers: { 'x-test': test } })).text);
const chain = async (s) => {
  const name = `sdk-${unique()}`, targets = s.targets.map((model) => ({ model }));
  const { policy } = await client.policies.createPolicy({ policy: { name, kind: { case: 'fallback', value: { targets } } } });
  assert.equal(policy.version, 1n);
  assert.equal((await client.policies.getPolicy({ name })).policy.etag, policy.etag);
  return name;
};

const run = {
  async complete(s) {
    const reply = await client.complete({ model: s.model, messages: [user(s.prompt)] });
    assert.deepEqual([reply.text, reply.servedBy, reply.finishReason], [s.text, s.model, v1.FinishReason.STOP]);
    assert(reply.usage.promptTokens > 0n && reply.usage.costNanoUsd > 0n);
    assert.equal(reply.costUsd, usd(reply.usage.costNanoUsd));
    assert.deepEqual(reply.route.attempts.map((a) => a.outcome), [v1.AttemptOutcome.SUCCESS]);
  },
  async stream(s) {
    const ask = { model: s.model, messages: [user(s.prompt)] }, events = await list(client.stream(ask));
    assert.deepEqual(events.map((e) => e.sequence), events.map((_, at) => BigInt(at + 1)));
    assert.deepEqual([events[0].kind.case, events.at(-1).kind.case], ['started', 'completed']);
    const pieces = await list(client.stream(ask).text());
    assert(pieces.length > 1); assert.equal(pieces.join(''), s.text);
    const reply = await client.stream(ask).collect();
    assert.equal(reply.text, s.text); assert.equal((await client.complete(ask)).text, s.text); assert(reply.usage.costNanoUsd > 0n);
  },
  async tools(s) {
    const tools = [functionTool(s.tool, 'Tells the weather', { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] })];
    const messages = [user(s.prompt)];
    for (const ask of [(chat) => client.complete(chat), (chat) => client.stream(chat).collect()]) {
      const reply = await ask({ model: s.model, messages, tools, parallelToolCalls: false }), [call] = reply.toolCalls;
      assert.equal(reply.toolCalls.length, 1); assert.equal(call.name, s.tool); assert('city' in argumentsOf(call));
      assert.equal(reply.finishReason, v1.FinishReason.TOOL_CALLS);
      const after = await ask({ model: s.model, messages: [...messages, reply.message, toolResult(call, s.result)], tools });
      assert(after.text.includes(s.tool), after.text); assert.equal(after.toolCalls.length, 0);
    }
  },
  async structured(s) {
    const reply = await client.complete({ model: s.model, messages: [user(s.prompt)], output: jsonSchema(s.schema, 'city') });
    assert.equal(typeof reply.json()[s.field], 'string');
  },
  async image(s) {
    const reply = await client.complete({ model: s.model, messages: [user(s.prompt, image(new Uint8Array(Buffer.from(s.png, 'base64')), 'image/png'))] });
    assert.equal(reply.text, s.prompt); assert(reply.usage.promptTokens >= BigInt(s.min_input_tokens));
  },
  async cancel(s) {
    const events = client.stream({ model: s.model, messages: [user(s.prompt)] });
    for await (const _ of events.text()) break;
    assert.equal((await record(events.soFar.raw.requestId)).outcome, v1.AttemptOutcome.CANCELLED);
    const stop = new AbortController(), other = client.stream({ model: s.model, messages: [user(s.prompt)] }, { signal: stop.signal });
    const error = await failure(async () => { for await (const _ of other.text()) stop.abort(); });
    assert.equal(error.reason, Reason.CANCELLED);
    assert.equal((await record(other.soFar.raw.requestId)).outcome, v1.AttemptOutcome.CANCELLED);
    const third = client.stream({ model: s.model, messages: [user(s.prompt)] });
    await failure(async () => { for await (const _ of third.text()) await third.cancel(); });
    assert.equal((await record(third.soFar.raw.requestId)).outcome, v1.AttemptOutcome.CANCELLED);
  },
  async deadline(s) {
    const error = await failure(() => client.complete({ model: s.model, messages: [user(s.prompt)] }, { timeoutMs: s.timeout_ms }));
    assert.deepEqual([error.reason, error.code], [s.reason, Code.DeadlineExceeded]);
  },
  async 'resume-live'(s) {
    const first = client.stream({ model: s.model, messages: [user(s.prompt)], resumeWindow: durationFromMs(60_000) }), events = await list(first);
    const rest = await list(client.streams.resume({ streamId: first.streamId, afterSequence: 3n }));
    assert.deepEqual(rest.map((r) => r.event.sequence), events.slice(3).map((e) => e.sequence));
  },
  async resume(s) {
    const events = fake.stream({ model: s.model, messages: [user('x')] }), got = await list(events);
    assert.deepEqual(got.map((e) => e.sequence), [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n]);
    assert.deepEqual([events.soFar.text, events.resumes], [s.text, 2]);
  },
  async 'no-resume'(s) {
    const events = fake.stream({ model: s.model, messages: [user('x')], resumeWindow: durationFromMs(0) }), error = await failure(() => list(events));
    assert(error.lost); assert.deepEqual([events.soFar.text, events.resumes], [s.partial, 0]);
  },
  async reasons(s) {
    for (const { model, reason } of s.cases) {
      const error = await failure(() => client.complete({ model, messages: [user('x')] }));
      assert.deepEqual([error.reason, Reason[reason], error.fromGateway], [reason, reason, true]); assert(error.metadata.attempts);
    }
    const error = await failure(() => connect({ apiKey: 'wrong' }).complete({ model: 'sandbox/echo', messages: [user('x')] }));
    assert.deepEqual([error.reason, error.retryable], [s.wrong_key, false]);
    const bad = await failure(() => client.complete({ model: 'sandbox/echo' }));
    assert.equal(bad.reason, s.no_messages); assert(bad.violations[0].field.includes('messages'));
  },
  async retry(s) {
    for (const maxRetries of [2, 1]) {
      const test = unique(), ask = () => fake.complete({ model: s.model, messages: [user('x')] }, { headers: { 'x-test': test }, maxRetries });
      if (maxRetries === 2) assert.equal((await ask()).text, s.text); else assert.equal((await failure(ask)).reason, Reason.OVERLOADED);
      assert.equal(await tries(s.model, test), maxRetries + 1);
    }
    if (!web) assert.match((await fake.complete({ model: 'agent', messages: [user('x')] })).text, /^headworks-node\//);
  },
  async 'no-retry'(s) {
    for (const model of s.models) {
      const test = unique();
      await failure(() => fake.complete({ model, messages: [user('x')] }, { headers: { 'x-test': test } }));
      assert.equal(await tries(model, test), s.tries, model);
    }
  },
  async paging(s) {
    const mark = unique();
    for (let at = 0; at < s.keys; at++) await client.keys.createKey({ key: { name: `${mark}-${at}` } });
    const keys = client.keys.listKeys({ pageSize: s.page_size });
    assert.equal((await list(keys)).filter((key) => key.name.startsWith(mark)).length, s.keys);
    for await (const page of keys.pages()) assert(page.keys.length <= s.page_size);
  },
  async policy(s) {
    const name = await chain(s), reply = await client.complete({ model: `policy/${name}`, messages: [user(s.prompt)] });
    assert.deepEqual([reply.text, reply.servedBy, reply.route.attempts.length], [s.text, s.served_by, s.attempts]);
    assert((await list(client.policies.listPolicies())).some((p) => p.name === name));
    await client.policies.deletePolicy({ name });
  },
  async explain(s) {
    const name = await chain(s), told = await client.policies.explainRoute({ chat: { model: `policy/${name}`, messages: [user('x')] } });
    assert.deepEqual(told.targets.slice(0, 2).map((t) => t.target), s.targets);
  },
  async budget(s) {
    const { secret } = await client.keys.createKey({ key: { name: 'poor', budget: { limitNanoUsd: BigInt(s.limit_nano_usd) } } });
    const error = await failure(() => connect({ apiKey: secret }).complete({ model: s.model, messages: [user('x')] }));
    assert.deepEqual([error.reason, error.retryable, error.code], [s.reason, false, Code.ResourceExhausted]);
  },
  async usage(s) {
    const reply = await client.complete({ model: s.model, messages: [user(s.prompt)], tags: ['sdk'] }), kept = await record(reply.raw.requestId);
    assert.deepEqual([kept.usage.costNanoUsd, kept.tags, kept.servedBy], [reply.usage.costNanoUsd, ['sdk'], s.model]);
  },
  async 'usage-query'(s) {
    await client.complete({ model: 'sandbox/echo', messages: [user('x')] });
    const rows = await list(client.usage.queryUsage({ groupBy: [s.group_by] }));
    assert(rows.some((row) => row.requestCount > 0n && row.usage.costNanoUsd > 0n));
  },
  async watch(s) {
    const stop = new AbortController();
    let seen, failed;
    const listening = (async () => { for await (const told of client.usage.watchRequests({}, { signal: stop.signal })) { seen = told.request.id; return; } })().catch((error) => (failed = error));
    for (let i = 0; i < 20 && !seen && !failed; i++) {
      await client.complete({ model: s.model, messages: [user(s.prompt)] });
      await Promise.race([listening, new Promise((r) => setTimeout(r, 500))]);
    }
    stop.abort();
    if (failed) throw failed;
    assert(seen);
  },
  async large(s) {
    const data = new Uint8Array(s.word_bytes).fill(120);
    assert.equal((await client.complete({ model: s.model, messages: [user('look', image(data, 'image/png'))] })).text, 'look');
  },
};

// The fake speaks native gRPC alone.
for (const s of spec.filter((s) => !web || s.at === 'gateway')) {
  try { await run[s.id](s); console.log('PASS', s.id); }
  catch (error) {
    if (error.reason === Reason.NOT_IMPLEMENTED) console.log('UNSERVED', s.id);
    else { console.log(`FAIL ${s.id}: ${error}`); console.error(error); }
  }
}
process.exit(0);
