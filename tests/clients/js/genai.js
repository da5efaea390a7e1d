// `@google/genai`: its chats, which keep the history themselves.

import { ApiError, GoogleGenAI } from "@google/genai";

import { read, serve, taken, unfinished } from "./driver.js";

const FINISHES = { STOP: "stop", MAX_TOKENS: "length", SAFETY: "filter" };

class Chat {
  constructor(question) {
    this.question = question;
    const client = new GoogleGenAI({
      apiKey: question.key,
      httpOptions: { baseUrl: question.base_url, retryOptions: { attempts: 1 } },
    });
    this.leaving = new AbortController();
    this.chat = client.chats.create({ model: question.model, config: this.config() });
  }

  say(prompt, image) {
    this.message = [
      ...(image ? [{ inlineData: { mimeType: image.mime, data: image.data } }] : []),
      { text: prompt },
    ];
  }

  async answer() {
    const { replies, pieces, left } = await this.send();
    if (left) return unfinished(pieces);
    const parts = replies.flatMap((reply) => reply.candidates?.[0]?.content?.parts ?? []);
    const textOf = (thought) => parts.filter((part) => part.text && !!part.thought === thought);
    const calls = replies.flatMap((reply) => reply.functionCalls ?? []);
    const last = replies.at(-1);
    const finish = FINISHES[last.candidates?.[0]?.finishReason] ?? null;
    return {
      text: joined(textOf(false)),
      thoughts: joined(textOf(true)),
      calls: calls.map(({ id, name, args }) => ({ id: id ?? null, name, arguments: args })),
      finish: calls.length ? "calls" : finish,
      usage: usageOf(last.usageMetadata),
      pieces,
      parsed: this.question.schema && JSON.parse(joined(textOf(false))),
    };
  }

  async send() {
    if (!this.question.stream) return { replies: [await this.chat.sendMessage({ message: this.message })] };
    const replies = [];
    const pieceOf = (reply) => {
      replies.push(reply);
      return reply.candidates?.[0]?.content?.parts?.some((part) => part.text && !part.thought) && reply.text;
    };
    const stream = await this.chat.sendMessageStream({ message: this.message });
    const leave = () => this.leaving.abort();
    const { pieces, left } = await read(stream, this.question, pieceOf, leave);
    return { replies, pieces, left };
  }

  give(calls) {
    this.message = calls.map(({ id, name, result }) => ({
      functionResponse: { ...(id && { id }), name, response: result },
    }));
  }

  config() {
    const { system, tools, schema, effort, temperature } = this.question;
    const declared = (tools ?? []).map(({ parameters, ...tool }) => ({
      ...tool,
      parametersJsonSchema: parameters,
    }));
    return {
      temperature,
      abortSignal: this.leaving.signal,
      ...(system && { systemInstruction: system }),
      ...(tools && { tools: [{ functionDeclarations: declared }] }),
      ...(effort && { thinkingConfig: { includeThoughts: true, thinkingBudget: -1 } }),
      ...(schema && { responseMimeType: "application/json", responseJsonSchema: schema.schema }),
    };
  }
}

function joined(parts) {
  return parts.map((part) => part.text).join("");
}

function usageOf(usage) {
  const thinking = usage.thoughtsTokenCount ?? 0;
  return {
    input: usage.promptTokenCount + (usage.toolUsePromptTokenCount ?? 0),
    output: (usage.candidatesTokenCount ?? 0) + thinking,
    cached: usage.cachedContentTokenCount ?? 0,
    thinking,
  };
}

function failure(error) {
  if (!(error instanceof ApiError)) return undefined;
  return { class: "genai.ApiError", status: error.status, message: error.message };
}

await serve(
  "@google/genai",
  ["@google/genai"],
  (question) => taken(new Chat(question), question),
  failure,
);
