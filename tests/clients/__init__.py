"""Client libraries as people install them, against `serve` and the strict fake of Google: a table client × case.

`make clients` runs all of it and prints the table; the suite runs the same tests. One process per client and session, a
**driver**, plays what the cases ask for. It is a script in the client's own language that knows nothing of the cases.

The protocol: JSON lines in UTF-8, one question in, one answer out, in order; standard error is a log.

At start the driver says `{"client": "openai", "version": "3.52.0"}` (the version of the library it found).
Then for every question it makes one conversation and answers `{"answers": [answer, …]}` or `{"error": error}`.

Question (a name that is absent asks for nothing):
    base_url    "http://127.0.0.1:1234", without a path: the driver adds what its client wants ("/v1", …)
    key         the sk- key
    model       a name the gateway knows
    prompts     ["…", …] what the user says, one turn after the other, each sent with the history so far; the history is
                made of the client's own answer objects, given back as its documentation says
    system      the system prompt
    stream      true: every answer is streamed
    image       {"mime": "image/png", "data": base64}: goes with the first prompt
    tools       [{"name", "description", "parameters": JSON Schema}]
    results     {"Zürich": {"sky": "blue"}, …}: as long as an answer holds calls, each call is answered with the result of
                its argument `city` (JSON text where the client wants text), and the conversation goes on;
                without `results` the driver stops at the first answer with calls
    schema      {"name": "Reply", "schema": JSON Schema of {"answer": string, "score": integer}}: structured output by
                the way the client documents
    effort      "high": how the client asks for visible reasoning
    temperature number, passed on unchecked
    leave_after n: when n pieces of a streamed answer have come, leave the way a user of this client leaves (close the
                stream, abort); the answer holds what had come
    The client itself repeats nothing: its retries are off.

Answer, one per model answer, in order; what the client does not show is null, except `finish`, always one of its words:
    text        all visible text, "" when there is none
    thoughts    all reasoning text, "" when there is none
    calls       [{"id", "name", "arguments": object}], the ids as the client shows them
    finish      in one vocabulary: "stop", "length", "calls", "filter", or null where the client shows none
    usage       {"input", "output", "cached", "thinking"}: input with the cached tokens, output with the thinking tokens
    pieces      streams: the texts of the text pieces as they came
    parsed      structured output: the object

Error: {"class": "openai.RateLimitError", "status": 429, "message": "…"}: the class as users import it, the status as the
exception tells it (null where it does not).

A driver that fails in another way answers `{"crash": "the traceback"}` and goes on; the test shows it.

For a new client write a driver and a `Client` (tests.clients.harness) for it, and a test module of two lines:

    @matrix(CLIENTS)
    def test_…(play): play()
"""
