// Messages in short, answers in hand.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { usd } from "./money.js";
import {
  type ChatReply, ChatReplySchema, ChoiceSchema, FinishReason, FunctionToolSchema, type Message, MessageSchema, OutputFormatSchema, type Part,
  PartSchema, Role, type Route, type StreamEvent, type Tool, ToolSchema, type ToolCall, type Usage,
} from "./v1.js";

/** A text, or a part such as `image(...)`. */
export type Content = string | Part;

const parts = (content: Content[]) =>
  content.map((one) => (typeof one === "string" ? create(PartSchema, { kind: { case: "text", value: one } }) : one));
const message = (role: Role, content: Content[]): Message => create(MessageSchema, { role, parts: parts(content) });

/** What the person says. */
export const user = (...content: Content[]): Message => message(Role.USER, content);
/** Instructions of the application. */
export const system = (...content: Content[]): Message => message(Role.SYSTEM, content);
/** What the model said. For its real answers, `reply.message` keeps more. */
export const assistant = (...content: Content[]): Message => message(Role.ASSISTANT, content);

/** What a tool gave back for a call of `reply.toolCalls`. */
export function toolResult(call: Pick<ToolCall, "id" | "name">, content: Content | Content[], isError = false): Message {
  const value = { toolCallId: call.id, name: call.name, parts: parts([content].flat()), isError };
  return create(MessageSchema, { role: Role.TOOL, parts: [{ kind: { case: "toolResult", value } }] });
}

/** A picture: a URL, or its bytes and their media type. */
export function image(source: string | Uint8Array, mimeType = "", detail = ""): Part {
  const at = typeof source === "string" ? { case: "url" as const, value: source } : { case: "data" as const, value: source };
  return create(PartSchema, { kind: { case: "image", value: { source: at, mimeType, detail } } });
}

/** A tool that the application runs. `parameters` is the JSON Schema of its arguments. */
export function functionTool(name: string, description: string, parameters?: object, strict?: boolean): Tool {
  const value = create(FunctionToolSchema, { name, description, parametersJson: parameters ? JSON.stringify(parameters) : "" });
  if (strict !== undefined) value.strict = strict;
  return create(ToolSchema, { kind: { case: "function", value } });
}

/** Asks for JSON that follows a schema; `reply.json()` reads it. */
export function jsonSchema(schema: object, name = ""): MessageInitShape<typeof OutputFormatSchema> {
  return { kind: { case: "jsonSchema", value: { name, schemaJson: JSON.stringify(schema) } } };
}

/** The arguments of a tool call, read as JSON. */
export const argumentsOf = (call: ToolCall): unknown => JSON.parse(call.argumentsJson || "{}");

/** A whole answer. */
export class Reply {
  constructor(
    /** The message itself. */
    readonly raw: ChatReply,
  ) {}

  /** The first answer as a message, to be put before the next turn. */
  get message(): Message {
    return this.raw.choices[0]?.message ?? message(Role.ASSISTANT, []);
  }

  /** The text of the first answer. */
  get text(): string {
    return this.message.parts.map(({ kind }) => (kind.case === "text" ? kind.value : "")).join("");
  }

  /** What the model thought first, where it can be read. */
  get reasoning(): string {
    return this.message.parts.map(({ kind }) => (kind.case === "reasoning" ? kind.value.text : "")).join("");
  }

  /** Calls for the application to run. */
  get toolCalls(): ToolCall[] {
    return this.message.parts.flatMap(({ kind }) => (kind.case === "toolCall" ? [kind.value] : []));
  }

  /** The text, read as JSON. */
  json(): unknown {
    return JSON.parse(this.text);
  }

  /** Why the first answer ended. */
  get finishReason(): FinishReason {
    return this.raw.choices[0]?.finishReason ?? FinishReason.UNSPECIFIED;
  }

  /** Tokens and money. */
  get usage(): Usage | undefined {
    return this.raw.usage;
  }

  /** How the call went: every attempt, and what was left out. */
  get route(): Route | undefined {
    return this.raw.route;
  }

  /** What served, as `provider/model`. */
  get servedBy(): string {
    return this.raw.servedBy;
  }

  /** What it cost, US dollars, exactly: `"0.000012"`. */
  get costUsd(): string {
    return usd(this.raw.usage?.costNanoUsd ?? 0n);
  }
}

/** Events to an answer: a reply is the fold of its events. */
export class Fold {
  readonly reply = create(ChatReplySchema);
  readonly #calls = new Map<number, ToolCall>();

  add({ choice, kind }: StreamEvent): void {
    const reply = this.reply;
    switch (kind.case) {
      case "started":
        ({ requestId: reply.requestId, servedBy: reply.servedBy, model: reply.model, id: reply.id } = kind.value);
        return;
      case "completed":
        if (kind.value.usage) reply.usage = kind.value.usage;
        if (kind.value.route) reply.route = kind.value.route;
        reply.requestId = kind.value.route?.requestId || reply.requestId;
        return;
      case "recovered":
        reply.servedBy = kind.value.to;
        return;
      case "restarted":
        reply.servedBy = kind.value.to;
        reply.choices.length = 0;
        this.#calls.clear();
        return;
      case undefined:
        return;
    }
    while (reply.choices.length <= choice) {
      reply.choices.push(create(ChoiceSchema, { index: reply.choices.length, message: { role: Role.ASSISTANT } }));
    }
    this.#grow(choice, kind);
  }

  #grow(at: number, kind: StreamEvent["kind"]): void {
    const choice = this.reply.choices[at]!, list = (choice.message ??= create(MessageSchema)).parts;
    const last = list.at(-1)?.kind;
    const thought = last?.case === "reasoning" && !last.value.signature.length && !last.value.redacted.length ? last.value : undefined;
    const push = (kind: MessageInitShape<typeof PartSchema>["kind"]) => {
      const part = create(PartSchema, kind ? { kind } : {});
      list.push(part);
      return part;
    };
    switch (kind.case) {
      case "text":
      case "refusal":
        if (last?.case === kind.case) last.value += kind.value;
        else push({ case: kind.case, value: kind.value });
        return;
      case "reasoning":
        if (thought) thought.text += kind.value;
        else push({ case: "reasoning", value: { text: kind.value } });
        return;
      case "reasoningSignature":
        if (thought) thought.signature = kind.value;
        else push({ case: "reasoning", value: { signature: kind.value } });
        return;
      case "redactedReasoning":
        push({ case: "reasoning", value: { redacted: kind.value } });
        return;
      case "toolCallStarted": {
        const { id, name, signature, index } = kind.value;
        const part = push({ case: "toolCall", value: { id, name, signature } });
        if (part.kind.case === "toolCall") this.#calls.set(index, part.kind.value);
        return;
      }
      case "toolCallArguments": {
        const call = this.#calls.get(kind.value.index);
        if (call) call.argumentsJson += kind.value.piece;
        return;
      }
      case "hostedJson":
        choice.hostedJson.push(kind.value);
        return;
      case "logprobsJson":
        choice.logprobsJson = kind.value;
        return;
      case "opaque":
        push({ case: "opaque", value: kind.value });
        return;
      case "finished":
        choice.finishReason = kind.value.reason;
        return;
    }
  }
}
