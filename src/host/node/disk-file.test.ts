// Tests of disk images as files: reading, writing, modes, and refusals in a sentence.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openDisk } from '../../lab/index.ts';
import { openDiskFile } from './disk-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'pvops-disk-'));
afterAll(() => rmSync(folder, { recursive: true }));

function image(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(4096).fill(7));
  return path;
}

const ones = new Uint8Array(512).fill(1);

test('a disk over a file reads it, and writes it only in read-write mode', () => {
  const path = image('a.img');
  const kept = openDiskFile(path, 'copy-on-write');
  expect(openDisk(kept, 'copy-on-write', path).write(2, ones)).toBe(true);
  kept.close();
  expect(readFileSync(path).every((byte) => byte === 7)).toBe(true);
  const file = openDiskFile(path, 'read-write');
  const disk = openDisk(file, 'read-write', path);
  expect([disk.sectors, disk.write(2, ones)]).toEqual([8, true]);
  disk.flush();
  file.close();
  expect([...readFileSync(path).subarray(1022, 1026)]).toEqual([7, 7, 1, 1]);
});

test('what has gone from the file reads as zeros', () => {
  const path = image('b.img');
  const file = openDiskFile(path, 'read-only');
  writeFileSync(path, new Uint8Array(600).fill(9));
  const out = new Uint8Array(512);
  file.read(512, out);
  expect([out[0], out[87], out[88], out[511]]).toEqual([9, 9, 0, 0]);
  file.close();
});

test('a file that is not there and a directory are refused', () => {
  for (const path of [join(folder, 'none'), folder]) {
    expect(() => openDiskFile(path, 'read-only')).toThrow(
      expect.objectContaining({ code: 'host/unreadable-disk' }),
    );
  }
});
