// Streams a chat by gRPC-Web; stops it; takes it up again.
import { type ChatStream, durationFromMs, Headworks, HeadworksError, user, type v1 } from "@headworks/client/web";

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const query = new URLSearchParams(location.search);
const client = new Headworks({ baseUrl: query.get("gateway") ?? location.origin, apiKey: query.get("key") ?? "", maxRetries: Number(query.get("retries") ?? 2) });
const send = element<HTMLButtonElement>("send"), stop = element<HTMLButtonElement>("stop"), reconnect = element<HTMLButtonElement>("reconnect");
const answer = element("answer"), status = element("status");

let stream: ChatStream | undefined;
let last = { id: "", sequence: 0n };

function show(event: v1.StreamEvent): void {
  last.sequence = event.sequence;
  if (event.kind.case === "started") last.id = event.kind.value.streamId;
  if (event.kind.case === "restarted") answer.textContent = "";
  if (event.kind.case === "text") answer.textContent += event.kind.value;
}

async function follow(events: AsyncIterable<v1.StreamEvent>): Promise<void> {
  [send.disabled, stop.disabled, reconnect.disabled] = [true, false, true];
  status.textContent = "answering";
  try {
    for await (const event of events) show(event);
    status.textContent = `done${stream?.resumes ? `, after ${stream.resumes} lost connections` : ""}`;
  } catch (error) {
    const reason = error instanceof HeadworksError ? error.reason : "";
    status.textContent = reason === "CANCELLED" ? "stopped" : `failed: ${String(error)}`;
    // A lost connection: the gateway keeps the stream for a while.
    reconnect.disabled = !(error instanceof HeadworksError && error.lost && last.id);
  }
  [send.disabled, stop.disabled] = [false, true];
}

/** The rest of a stream, by hand: what ChatStream does by itself while it has retries left. */
async function* rest(): AsyncGenerator<v1.StreamEvent> {
  for await (const { event } of client.streams.resume({ streamId: last.id, afterSequence: last.sequence })) if (event) yield event;
}

element<HTMLFormElement>("form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  answer.textContent = "";
  last = { id: "", sequence: 0n };
  const prompt = element<HTMLInputElement>("prompt").value, model = query.get("model") ?? "sandbox/slow";
  const window = query.get("window") === "none" ? {} : { resumeWindow: durationFromMs(60_000) };
  stream = client.stream({ model, messages: [user(prompt)], ...window });
  void follow(stream);
});
stop.addEventListener("click", () => void stream?.cancel().catch((error) => (status.textContent = String(error))));
reconnect.addEventListener("click", () => void follow(rest()));
