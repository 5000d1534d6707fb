// The Vercel AI SDK over three dialects: text, stream, tools, objects.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const url = process.env.LLM_MANAGER_URL ?? "http://127.0.0.1:8080";
const name = process.env.LLM_MANAGER_MODEL ?? "default";
const apiKey = process.env.LLM_MANAGER_API_KEY;

const models = {
  "openai-compatible": createOpenAICompatible({ name: "llm-manager", baseURL: `${url}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true })(name),
  "openai chat": createOpenAI({ baseURL: `${url}/v1`, apiKey }).chat(name),
  "openai responses": createOpenAI({ baseURL: `${url}/v1`, apiKey }).responses(name),
  anthropic: createAnthropic({ baseURL: `${url}/v1`, apiKey })(name),
  google: createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey })(name),
};

for (const [dialect, model] of Object.entries(models)) {
  const answer = await generateText({ model, prompt: "Say hello." });
  assert.ok(answer.text, dialect);
  assert.ok(answer.usage.totalTokens > 0, `${dialect}: no usage`);

  const stream = streamText({ model, prompt: "Count to three.", onError: ({ error }) => { throw error; } });
  let text = "";
  for await (const part of stream.textStream) text += part;
  assert.ok(text, `${dialect}: empty stream`);
  assert.ok((await stream.usage).totalTokens > 0, `${dialect}: no usage in the stream`);

  const multiply = tool({
    description: "Multiply two numbers.",
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    execute: async ({ a, b }) => ({ product: a * b }),
  });
  const used = await generateText({ model, prompt: "Use multiply with 6 and 7.", tools: { multiply }, stopWhen: stepCountIs(2) });
  assert.match(used.text, /42/, `${dialect}: tools`);

  const { object } = await generateObject({ model, schema: z.object({ name: z.string(), age: z.number() }), prompt: "Ada is 36 years old." });
  assert.deepEqual(object, { name: "Ada", age: 36 }, `${dialect}: object`);
  console.log(`${dialect}: text, stream, tools, object`);
}
