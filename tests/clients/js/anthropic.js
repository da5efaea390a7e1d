// `@anthropic-ai/sdk`: messages.

import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { fromJSONSchema } from "zod";

import { read, sdkFailure, serve, taken, unfinished } from "./driver.js";

const FINISHES = { end_turn: "stop", max_tokens: "length", tool_use: "calls", refusal: "filter" };
const MAX_TOKENS = 4096;

class Chat {
  constructor(question) {
    this.question = question;
    const { messages } = new Anthropic({
      apiKey: question.key,
      baseURL: question.base_url,
      maxRetries: 0,
    });
    this.client = messages;
    this.messages = [];
  }

  say(prompt, image) {
    this.messages.push({ role: "user", content: image ? pictured(prompt, image) : prompt });
  }

  async answer() {
    const { message, pieces, left } = await this.send();
    if (left) return unfinished(pieces);
    this.messages.push({ role: "assistant", content: message.content });
    const blocks = (type) => message.content.filter((block) => block.type === type);
    return {
      text: blocks("text")
        .map((block) => block.text)
        .join(""),
      thoughts: blocks("thinking")
        .map((block) => block.thinking)
        .join(""),
      calls: blocks("tool_use").map(({ id, name, input }) => ({ id, name, arguments: input })),
      finish: FINISHES[message.stop_reason],
      usage: usageOf(message.usage),
      pieces,
      parsed: message.parsed_output,
    };
  }

  async send() {
    if (!this.question.stream) {
      // Typed by a schema it is the same call, and reads the answer's JSON.
      const way = this.question.schema ? "parse" : "create";
      return { message: await this.client[way](this.request()) };
    }
    const stream = this.client.stream(this.request());
    const pieceOf = (event) =>
      event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : "";
    const { pieces, left } = await read(stream, this.question, pieceOf, () => stream.abort());
    return { message: left ? null : await stream.finalMessage(), pieces, left };
  }

  give(calls) {
    const content = calls.map((call) => ({
      type: "tool_result",
      tool_use_id: call.id,
      content: JSON.stringify(call.result),
    }));
    this.messages.push({ role: "user", content });
  }

  request() {
    const { model, system, tools, schema, effort, temperature } = this.question;
    return {
      model,
      messages: this.messages,
      max_tokens: MAX_TOKENS,
      temperature,
      system,
      ...(effort && { thinking: { type: "adaptive", display: "summarized" } }),
      ...((effort || schema) && {
        output_config: {
          ...(effort && { effort }),
          ...(schema && { format: zodOutputFormat(fromJSONSchema(schema.schema)) }),
        },
      }),
      ...(tools && {
        tools: tools.map(({ parameters, ...tool }) => ({ ...tool, input_schema: parameters })),
      }),
    };
  }
}

function pictured(prompt, image) {
  const source = { type: "base64", media_type: image.mime, data: image.data };
  return [
    { type: "image", source },
    { type: "text", text: prompt },
  ];
}

function usageOf(usage) {
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
    output: usage.output_tokens,
    cached,
    thinking: usage.output_tokens_details?.thinking_tokens ?? null,
  };
}

await serve(
  "@anthropic-ai/sdk",
  ["@anthropic-ai/sdk"],
  (question) => taken(new Chat(question), question),
  sdkFailure("anthropic", APIError),
);
