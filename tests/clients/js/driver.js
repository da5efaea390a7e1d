// What every driver shares: the protocol of tests/clients/__init__.py, and the course of a conversation.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const BLANK = { text: "", thoughts: "", calls: [], finish: null, usage: null, pieces: [], parsed: null };

/**
 * Play every question that comes in; ends with standard input.
 *
 * `converse(question)` gives the answers, or throws. `failure(error)` tells the client's own errors in the words of the
 * protocol and is undefined for any other.
 */
export async function serve(name, libraries, converse, failure) {
  say({ client: name, version: libraries.map(versionOf).join(" / ") });
  for await (const line of createInterface({ input: process.stdin })) {
    say(await told(JSON.parse(line), converse, failure));
  }
}

/**
 * The course of a conversation with a client that leaves its turns to its user.
 *
 * `chat` has: `say(prompt, image)` for the user's next message, `answer()` for the model's next answer, and
 * `give(calls)` for the results of calls, each with its `result`.
 */
export async function taken(chat, question) {
  const answers = [];
  for (const [turn, prompt] of question.prompts.entries()) {
    chat.say(prompt, turn === 0 ? question.image : undefined);
    for (;;) {
      const answer = await chat.answer();
      answers.push(answer);
      if (!answer.calls?.length) break;
      if (!question.results) return answers;
      chat.give(answer.calls.map((call) => ({ ...call, result: resultOf(call.arguments, question) })));
    }
  }
  return answers;
}

export function resultOf(given, question) {
  return question.results[given.city];
}

/** Read a stream until it ends, or until `question.leave_after` pieces of text have come; then it is left by `leave`. */
export async function read(stream, question, pieceOf, leave) {
  const pieces = [];
  for await (const event of stream) {
    const piece = pieceOf(event);
    if (piece) pieces.push(piece);
    if (question.leave_after && pieces.length >= question.leave_after) {
      leave();
      return { pieces, left: true };
    }
  }
  return { pieces, left: false };
}

/** What had come when the user left. */
export function unfinished(pieces) {
  return { text: pieces.join(""), pieces };
}

/** An error of the SDKs that OpenAI and Anthropic have generated from one mould. */
export function sdkFailure(library, base) {
  return (error) =>
    error instanceof base
      ? {
          class: `${library}.${error.constructor.name}`,
          status: error.status ?? null,
          message: error.message,
        }
      : undefined;
}

async function told(question, converse, failure) {
  try {
    const answers = await converse(question);
    return { answers: answers.map((answer) => ({ ...BLANK, ...defined(answer) })) };
  } catch (error) {
    const described = failure(error);
    return described ? { error: described } : { crash: error.stack };
  }
}

/** The fields that say something: what a client leaves undefined is as if it were not there. */
function defined(answer) {
  return Object.fromEntries(Object.entries(answer).filter(([, value]) => value !== undefined));
}

function versionOf(library) {
  const manifest = new URL(`node_modules/${library}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(manifest)).version;
}

function say(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
