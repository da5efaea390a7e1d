// `ai`: generateText and streamText, over the provider named on the command line.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";

import { read, resultOf, serve, unfinished } from "./driver.js";

const FINISHES = { stop: "stop", length: "length", "tool-calls": "calls", "content-filter": "filter" };
const MAX_STEPS = 8;

// What each provider must be told beyond `ai`'s own words: they do not know our models, nor which of them reason.
const PROVIDERS = {
  "openai-chat": {
    library: "@ai-sdk/openai",
    model: ({ key, base_url, model }) =>
      createOpenAI({ apiKey: key, baseURL: `${base_url}/v1` }).chat(model),
    options: ({ effort }) => (effort ? { openai: { reasoningEffort: effort, forceReasoning: true } } : {}),
  },
  "openai-responses": {
    library: "@ai-sdk/openai",
    model: ({ key, base_url, model }) =>
      createOpenAI({ apiKey: key, baseURL: `${base_url}/v1` }).responses(model),
    options: ({ effort }) => ({
      openai: {
        store: false,
        ...(effort && { reasoningEffort: effort, reasoningSummary: "auto", forceReasoning: true }),
      },
    }),
  },
  anthropic: {
    library: "@ai-sdk/anthropic",
    model: ({ key, base_url, model }) =>
      createAnthropic({ apiKey: key, baseURL: `${base_url}/v1` })(model),
    options: ({ effort }) =>
      effort ? { anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } } } : {},
  },
  google: {
    library: "@ai-sdk/google",
    model: ({ key, base_url, model }) =>
      createGoogle({ apiKey: key, baseURL: `${base_url}/v1beta` })(model),
    options: ({ effort }) =>
      effort ? { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: -1 } } } : {},
  },
};

const provider = PROVIDERS[process.argv[2]];

async function converse(question) {
  const answers = [];
  const messages = [];
  for (const [turn, prompt] of question.prompts.entries()) {
    const image = turn === 0 && question.image;
    messages.push({ role: "user", content: image ? pictured(prompt, image) : prompt });
    const request = requestOf(question, messages);
    const turned = question.stream ? await streamed(question, request) : await whole(question, request);
    answers.push(...turned.answers);
    messages.push(...turned.messages);
    if (turned.answers.at(-1).calls?.length) break;
  }
  return answers;
}

async function whole(question, request) {
  const result = await generateText(request);
  const answers = result.steps.map(answerOf);
  if (question.schema) answers.at(-1).parsed = result.output;
  return { answers, messages: result.responseMessages };
}

async function streamed(question, request) {
  const leaving = new AbortController();
  const result = streamText({ ...request, abortSignal: leaving.signal, onError: () => {} });
  const rows = [];
  const pieceOf = (event) => {
    if (event.type === "error") throw event.error;
    if (event.type === "start-step") rows.push([]);
    if (event.type !== "text-delta") return "";
    rows.at(-1).push(event.text);
    return event.text;
  };
  const { pieces, left } = await read(result.stream, question, pieceOf, () => leaving.abort());
  if (left) return { answers: [unfinished(pieces)], messages: [] };
  const answers = (await result.steps).map((step, place) => ({ ...answerOf(step), pieces: rows[place] }));
  if (question.schema) answers.at(-1).parsed = await result.output;
  return { answers, messages: await result.responseMessages };
}

function requestOf(question, messages) {
  const { system, tools, schema, temperature } = question;
  return {
    model: provider.model(question),
    messages,
    maxRetries: 0,
    temperature,
    instructions: system,
    providerOptions: provider.options(question),
    ...(tools && { tools: Object.fromEntries(tools.map((one) => [one.name, toolOf(one, question)])) }),
    ...(question.results && { stopWhen: isStepCount(MAX_STEPS) }),
    ...(schema && { output: Output.object({ schema: jsonSchema(schema.schema), name: schema.name }) }),
  };
}

function toolOf({ description, parameters }, question) {
  return tool({
    description,
    inputSchema: jsonSchema(parameters),
    ...(question.results && { execute: (given) => resultOf(given, question) }),
  });
}

function pictured(prompt, image) {
  return [
    { type: "text", text: prompt },
    { type: "file", data: image.data, mediaType: image.mime },
  ];
}

function answerOf(step) {
  const { usage } = step;
  return {
    text: step.text,
    thoughts: step.reasoningText ?? "",
    calls: step.toolCalls.map(({ toolCallId, toolName, input }) => ({
      id: toolCallId,
      name: toolName,
      arguments: input,
    })),
    finish: FINISHES[step.finishReason],
    usage: {
      input: usage.inputTokens,
      output: usage.outputTokens,
      cached: usage.inputTokenDetails.cacheReadTokens ?? null,
      thinking: usage.outputTokenDetails.reasoningTokens ?? null,
    },
  };
}

function failure(error) {
  if (!APICallError.isInstance(error)) return undefined;
  return {
    class: "ai.APICallError",
    status: error.statusCode ?? null,
    message: error.message,
  };
}

await serve(`ai ${process.argv[2]}`, ["ai", provider.library], converse, failure);
