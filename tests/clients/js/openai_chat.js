// `openai`: chat completions.

import OpenAI, { APIError } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { fromJSONSchema } from "zod";

import { read, sdkFailure, serve, taken, unfinished } from "./driver.js";

const FINISHES = { stop: "stop", length: "length", tool_calls: "calls", content_filter: "filter" };

class Chat {
  constructor(question) {
    this.question = question;
    const { completions } = new OpenAI({
      apiKey: question.key,
      baseURL: `${question.base_url}/v1`,
      maxRetries: 0,
    }).chat;
    this.completions = completions;
    this.messages = question.system ? [{ role: "system", content: question.system }] : [];
  }

  say(prompt, image) {
    this.messages.push({ role: "user", content: image ? pictured(prompt, image) : prompt });
  }

  async answer() {
    const { completion, thoughts, pieces, left } = await this.complete();
    if (left) return unfinished(pieces);
    const [choice] = completion.choices;
    this.messages.push(choice.message);
    return {
      text: choice.message.content ?? "",
      thoughts: thoughts ?? choice.message.reasoning_content ?? "",
      calls: (choice.message.tool_calls ?? []).map((call) => ({
        id: call.id,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments),
      })),
      finish: FINISHES[choice.finish_reason],
      usage: usageOf(completion.usage),
      pieces,
      parsed: choice.message.parsed,
    };
  }

  async complete() {
    if (this.question.stream) return this.stream();
    if (this.question.schema) return { completion: await this.completions.parse(this.request()) };
    return { completion: await this.completions.create(this.request()) };
  }

  async stream() {
    const stream = this.completions.stream({ ...this.request(), stream_options: { include_usage: true } });
    let thoughts = "";
    const pieceOf = (chunk) => {
      // The SDK gathers fields that it does not know by overwriting them.
      thoughts += chunk.choices[0]?.delta.reasoning_content ?? "";
      return chunk.choices[0]?.delta.content;
    };
    const { pieces, left } = await read(stream, this.question, pieceOf, () => stream.abort());
    return { completion: left ? null : await stream.finalChatCompletion(), thoughts, pieces, left };
  }

  give(calls) {
    for (const call of calls) {
      this.messages.push({ role: "tool", tool_call_id: call.id, content: JSON.stringify(call.result) });
    }
  }

  request() {
    const { model, tools, schema, effort, temperature } = this.question;
    return {
      model,
      messages: this.messages,
      temperature,
      ...(effort && { reasoning_effort: effort }),
      ...(tools && { tools: tools.map((tool) => ({ type: "function", function: tool })) }),
      ...(schema && { response_format: zodResponseFormat(fromJSONSchema(schema.schema), schema.name) }),
    };
  }
}

function pictured(prompt, image) {
  const url = `data:${image.mime};base64,${image.data}`;
  return [
    { type: "text", text: prompt },
    { type: "image_url", image_url: { url } },
  ];
}

function usageOf(usage) {
  return usage && {
    input: usage.prompt_tokens,
    output: usage.completion_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? null,
    thinking: usage.completion_tokens_details?.reasoning_tokens ?? null,
  };
}

await serve(
  "openai (JS)",
  ["openai"],
  (question) => taken(new Chat(question), question),
  sdkFailure("openai", APIError),
);
