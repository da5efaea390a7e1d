// `openai`: responses.

import OpenAI, { APIError } from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { fromJSONSchema } from "zod";

import { read, sdkFailure, serve, taken, unfinished } from "./driver.js";

const INCOMPLETE = { max_output_tokens: "length", content_filter: "filter" };

class Chat {
  constructor(question) {
    this.question = question;
    const { responses } = new OpenAI({
      apiKey: question.key,
      baseURL: `${question.base_url}/v1`,
      maxRetries: 0,
    });
    this.responses = responses;
    this.input = [];
  }

  say(prompt, image) {
    this.input.push({ role: "user", content: image ? pictured(prompt, image) : prompt });
  }

  async answer() {
    const { response, pieces, left } = await this.respond();
    if (left) return unfinished(pieces);
    this.input.push(...response.output);
    const items = (type) => response.output.filter((item) => item.type === type);
    const calls = items("function_call").map((item) => ({
      id: item.call_id,
      name: item.name,
      arguments: JSON.parse(item.arguments),
    }));
    return {
      text: response.output_text,
      thoughts: items("reasoning")
        .flatMap((item) => item.summary.map((part) => part.text))
        .join(""),
      calls,
      finish: calls.length ? "calls" : (INCOMPLETE[response.incomplete_details?.reason] ?? "stop"),
      usage: {
        input: response.usage.input_tokens,
        output: response.usage.output_tokens,
        cached: response.usage.input_tokens_details.cached_tokens,
        thinking: response.usage.output_tokens_details.reasoning_tokens,
      },
      pieces,
      parsed: response.output_parsed,
    };
  }

  async respond() {
    if (!this.question.stream) return { response: await this.responses.parse(this.request()) };
    const stream = this.responses.stream(this.request());
    const pieceOf = (event) => (event.type === "response.output_text.delta" ? event.delta : "");
    const { pieces, left } = await read(stream, this.question, pieceOf, () => stream.abort());
    return { response: left ? null : await stream.finalResponse(), pieces, left };
  }

  give(calls) {
    for (const call of calls) {
      const output = JSON.stringify(call.result);
      this.input.push({ type: "function_call_output", call_id: call.id, output });
    }
  }

  request() {
    const { model, system, tools, schema, effort, temperature } = this.question;
    return {
      model,
      input: this.input,
      temperature,
      // Without stored state the reasoning travels through the client.
      store: false,
      include: ["reasoning.encrypted_content"],
      ...(system && { instructions: system }),
      ...(effort && { reasoning: { effort, summary: "auto" } }),
      ...(tools && { tools: tools.map((tool) => ({ type: "function", strict: false, ...tool })) }),
      ...(schema && { text: { format: zodTextFormat(fromJSONSchema(schema.schema), schema.name) } }),
    };
  }
}

function pictured(prompt, image) {
  const url = `data:${image.mime};base64,${image.data}`;
  return [
    { type: "input_text", text: prompt },
    { type: "input_image", image_url: url, detail: "auto" },
  ];
}

await serve(
  "openai responses (JS)",
  ["openai"],
  (question) => taken(new Chat(question), question),
  sdkFailure("openai", APIError),
);
