// A page that streams a chat by gRPC-Web.
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { Role, StreamService } from "./gen/headworks";

const say = (id: string, text: string) => { document.getElementById(id)!.textContent += text; };
const query = new URLSearchParams(location.search);
const transport = createGrpcWebTransport({
  baseUrl: query.get("gateway")!,
  interceptors: [(next) => (request) => { request.header.set("authorization", `Bearer ${query.get("key")}`); return next(request); }],
});
try {
  const chat = { model: query.get("model")!, messages: [{ role: Role.USER, parts: [{ kind: { case: "text" as const, value: "one two three" } }] }] };
  for await (const { event } of createClient(StreamService, transport).stream({ chat })) {
    say("kinds", `${event!.kind.case} `);
    if (event!.kind.case === "text") say("text", event!.kind.value);
  }
  say("end", "done");
} catch (error) { say("end", `error: ${error}`); }
