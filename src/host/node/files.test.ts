// Files of the user: lines of JSON in pieces of any size, and what is refused.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { eachUserJsonLine, readUserHead } from './files.ts';

const folder = mkdtempSync(join(tmpdir(), 'pvops-files-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(folder, 'lines');
  writeFileSync(path, text);
  return path;
}

async function lines(text: string, chunkBytes: number) {
  const found: unknown[] = [];
  const cut = await eachUserJsonLine(file(text), 'trace', (line) => found.push(line), chunkBytes);
  return { found, cut };
}

describe('lines of JSON', () => {
  it.each([1, 2, 3, 7, 1000])(
    'are the same in pieces of %d bytes, letters of several bytes too',
    async (bytes) => {
      const values = [{ a: 1 }, 'ä→𝄞', [], null];
      const text = values.map((value) => `${JSON.stringify(value)}\n`).join('');
      expect(await lines(text, bytes)).toEqual({ found: values, cut: false });
      expect(await lines(`${text}{"a`, bytes)).toEqual({ found: values, cut: true });
    },
  );

  it('that are none are refused by their number', async () => {
    await expect(lines('1\nx\n', 2)).rejects.toThrow('line 2 is not JSON');
  });
});

it('the head of a file is as much of it as there is', async () => {
  expect(new TextDecoder().decode(await readUserHead(file('abcdef'), 'trace', 4))).toBe('abcd');
  expect(await readUserHead(file(''), 'trace', 4)).toHaveLength(0);
  await expect(readUserHead(folder, 'trace', 4)).rejects.toThrow('it is a directory');
  await expect(readUserHead(join(folder, 'no'), 'trace', 4)).rejects.toThrow(
    'there is no such file',
  );
});
