// npm `openai`: chat, stream, tools, structured output, embeddings, Responses, typed errors.
import assert from "node:assert/strict";
import OpenAI from "openai";

const url = process.env.LLM_MANAGER_URL ?? "http://127.0.0.1:8080";
const model = process.env.LLM_MANAGER_MODEL ?? "default";
const embeddingModel = process.env.LLM_MANAGER_EMBEDDING_MODEL ?? "echo-embedding";
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.LLM_MANAGER_API_KEY });
const ask = (content) => [{ role: "user", content }];

const answer = await client.chat.completions.create({ model, messages: ask("Say hello.") });
console.log("chat:", answer.choices[0].message.content);
assert.ok(answer.usage.total_tokens > 0);
assert.ok(answer._request_id);

const stream = client.chat.completions.stream({ model, messages: ask("Count to three."), stream_options: { include_usage: true } });
const whole = await stream.finalChatCompletion();
console.log("stream:", whole.choices[0].message.content);
assert.ok(whole.usage.total_tokens > 0);

const multiply = {
  type: "function",
  function: {
    name: "multiply",
    parse: JSON.parse,
    parameters: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
    function: ({ a, b }) => String(a * b),
  },
};
const runner = client.chat.completions.runTools({ model, messages: ask("Use multiply with 6 and 7."), tools: [multiply] });
const said = await runner.finalContent();
console.log("tools:", said);
assert.match(said, /42/);

const schema = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false };
const structured = await client.chat.completions.create({
  model,
  messages: ask("Ada is 36 years old."),
  response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
});
console.log("structured:", structured.choices[0].message.content);
assert.deepEqual(JSON.parse(structured.choices[0].message.content), { name: "Ada", age: 36 });

const vectors = await client.embeddings.create({ model: embeddingModel, input: ["one", "two"] });
console.log("embeddings:", vectors.data.length, "of", vectors.data[0].embedding.length);
assert.equal(vectors.data.length, 2);

const response = await client.responses.create({ model, input: "Say hello." });
console.log("responses:", response.output_text);
assert.ok(response.output_text);
const next = await client.responses.create({ model, input: "And now?", previous_response_id: response.id });
assert.ok(next.output_text);

await assert.rejects(client.chat.completions.create({ model: "no-such-model", messages: ask("hi") }), OpenAI.NotFoundError);
await assert.rejects(
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "lm_live_wrong" }).models.list(),
  OpenAI.AuthenticationError,
);
console.log("errors: typed");
