// The AI SDK with its providers for Responses and for Messages: SETUP.api says which. Each step
// prints one line of JSON: its name, and what the client said or the error that it raised.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import assert from 'node:assert/strict';
import { z } from 'zod';

const SETUP = JSON.parse(process.env.ACCEPTANCE);
const isMessages = SETUP.api === 'messages';
const settings = { baseURL: SETUP.base_url, apiKey: SETUP.key };
const model = (isMessages ? createAnthropic(settings) : createOpenAI(settings))(SETUP.model);

const tools = {
  weather: tool({
    description: 'The temperature in a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => String(SETUP.degrees[city]),
  }),
  difference: tool({
    description: 'By how many degrees one is warmer.',
    inputSchema: z.object({ warmer: z.number().int(), colder: z.number().int() }),
    execute: ({ warmer, colder }) => String(warmer - colder),
  }),
};
const report = z.object({ city: z.string(), celsius: z.number(), notes: z.array(z.string()) });

const thinking = { thinking: { type: 'enabled', budgetTokens: 1024 } };
const reasoning = { reasoningEffort: 'low', reasoningSummary: 'auto', forceReasoning: true };
const inFull = { store: false, include: ['reasoning.encrypted_content'] };

function thinks(openai = {}) {
  const providerOptions = isMessages
    ? { anthropic: thinking }
    : { openai: { ...reasoning, ...openai } };
  return { model, tools, stopWhen: stepCountIs(6), system: SETUP.system, providerOptions };
}

async function complete(options) {
  const messages = [{ role: 'user', content: SETUP.compare }];
  const first = await generateText({ ...options, messages });
  assert.equal(first.text, SETUP.conclusion);
  messages.push(...first.response.messages, { role: 'user', content: SETUP.thanks });
  const second = await generateText({ ...options, messages });
  assert.equal(second.text, SETUP.goodbye);
  return second.text;
}

async function streamed(options) {
  const messages = [{ role: 'user', content: SETUP.compare }];
  const first = streamText({ ...options, messages, onError: () => {} });
  let text = '';
  for await (const piece of first.textStream) text += piece;
  assert.ok(text.endsWith(SETUP.conclusion), text);
  messages.push(...(await first.response).messages, { role: 'user', content: SETUP.thanks });
  const second = await streamText({ ...options, messages, onError: () => {} }).text;
  assert.equal(second, SETUP.goodbye);
  return second;
}

async function object() {
  const output = Output.object({ schema: report });
  const result = await generateText({ model, prompt: SETUP.report_on, output });
  assert.deepEqual(result.output, SETUP.report);
  return JSON.stringify(result.output);
}

async function namesTheWayRound() {
  try {
    await complete(thinks());
  } catch (error) {
    assert.equal(error.statusCode, 400);
    assert.match(error.message, /providerOptions\.openai\.store/);
    return error.message;
  }
  throw new Error('item_reference was ignored');
}

const steps = { object };
if (isMessages || SETUP.keeps_responses) {
  steps.complete = () => complete(thinks());
  steps.streamed = () => streamed(thinks());
} else {
  steps.names_the_way_round = namesTheWayRound;
}
if (!isMessages) {
  steps.complete_in_full = () => complete(thinks(inFull));
  steps.streamed_in_full = () => streamed(thinks(inFull));
}

for (const [step, run] of Object.entries(steps)) {
  try {
    console.log(JSON.stringify({ step, said: await run() }));
  } catch (error) {
    const cause = error.responseBody ?? error.lastError?.responseBody ?? '';
    console.log(JSON.stringify({ step, error: `${error.name}: ${error.message} ${cause}` }));
    process.exitCode = 1;
  }
}
