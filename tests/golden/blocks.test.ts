// Golden: chosen basic blocks through the JIT's translation; their text is reviewed, their behaviour compared.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GOLDEN } from './blocks.ts';
import { GoldenRunner, goldenText, memoryInstructions } from './harness.ts';

const STATES = 110;
const runner = new GoldenRunner();

describe.each(GOLDEN)('the block $name', (block) => {
  it('has the IR and the WebAssembly text that was reviewed', async () => {
    await expect(goldenText(block)).toMatchFileSnapshot(`text/${block.name}.txt`);
  });

  it('does what the reference does, from random states and with every access faulting', () => {
    const report = runner.compare(block, STATES);
    expect(report.differences).toEqual([]);
    expect(report.completed).toBeGreaterThan(STATES / 4);
    for (const at of memoryInstructions(block)) expect([...report.faultedAt]).toContain(at);
  });
});

it('docs/jit.md quotes the worked example as it is', () => {
  const example = GOLDEN.find((block) => block.name === 'worked-example') ?? GOLDEN[0]!;
  const lines = new Set(
    goldenText(example)
      .split('\n')
      .map((line) => line.trim()),
  );
  const doc = readFileSync(new URL('../../docs/jit.md', import.meta.url), 'utf8');
  const quoted = [...doc.matchAll(/```text\n([^`]*)```/g)].flatMap((m) => (m[1] ?? '').split('\n'));
  expect(quoted.length).toBeGreaterThan(20);
  for (const line of quoted) if (!line.includes('...')) expect(lines).toContain(line.trim());
});
