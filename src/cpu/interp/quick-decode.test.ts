// The decoder in WebAssembly against the one in TypeScript: the same records, whatever it has learned before.

import { describe, expect, it } from 'vitest';
import type { Insn } from '../isa/define.ts';
import { MODE_KEY_FLAT, MODE_KEY_LIMIT, MODE_KEY_STACK } from '../state.ts';
import { instructions } from '../table.ts';
import { randomEncoding } from '../testing/encoding.ts';
import { createMachine, type Machine, partsOf, writeRam } from '../testing/machine.ts';
import { Random } from '../testing/random.ts';
import { RAM_BYTES } from '../testing/world.ts';
import { ROOM_SHIFT } from './blocks.ts';
import { Interpreter } from './engine.ts';
import { hotList } from './hot-list.ts';
import { RECORD_BYTES } from './records.ts';

const PAGE = 4096;
/** The last page is the end of linear memory. */
const CODE = RAM_BYTES - 4 * PAGE;
const PAGES = 4;

const MODE_KEYS = [64, 32, 32 | MODE_KEY_FLAT, 32 | MODE_KEY_STACK, 16, 16 | MODE_KEY_STACK];

interface Side {
  readonly machine: Machine;
  readonly engine: Interpreter;
}

function side(quickDecode: boolean, tiered: boolean): Side {
  const machine = createMachine();
  return { machine, engine: new Interpreter(partsOf(machine), { tiered, quickDecode }) };
}

const second = () => CODE;

/** What a block is and what its records hold. */
function blockOf({ machine, engine }: Side, gpa: number, modeKey: number): object {
  const { cache } = engine;
  cache.makeRoom();
  const record = cache.decode(gpa, modeKey, second);
  if (record === 0) return { failure: cache.failure };
  const block = cache.blockAt(record);
  const bytes = machine.views.u8.slice(record, (block?.last ?? 0) + RECORD_BYTES);
  return { ...block, bytes: Buffer.from(bytes).toString('hex') };
}

function fill(sides: readonly Side[], bytes: number[]): void {
  for (const { machine } of sides) writeRam(machine, CODE, bytes);
}

/** Instructions, some of them nonsense. */
function codeOf(mode: 16 | 32 | 64, random: Random, from: readonly Insn[]): number[] {
  const bytes: number[] = [];
  while (bytes.length < PAGES * PAGE) {
    if (random.chance(10)) bytes.push(random.below(256));
    const form = random.pick(random.pick(from).forms);
    const candidate = randomEncoding(form, mode, random);
    const behind = candidate.dispAt + candidate.dispBytes;
    bytes.push(...candidate.bytes.slice(0, behind + random.below(6)));
  }
  return bytes.slice(0, PAGES * PAGE);
}

/** Near the end of CS, or anywhere. */
function limited(modeKey: number, gpa: number, random: Random): number {
  if ((modeKey & 0x7f) === 64 || random.chance(60)) return modeKey;
  if (random.chance(30)) return modeKey | MODE_KEY_LIMIT;
  const room = Math.max(1, (gpa & 0xfff) + random.below(40) - 3);
  return modeKey | MODE_KEY_LIMIT | (room << ROOM_SHIFT);
}

function compare(
  sides: readonly [Side, Side],
  modeKey: number,
  random: Random,
  blocks: number,
  pages: number = PAGES,
): void {
  const [a, b] = sides;
  for (let i = 0; i < blocks; i++) {
    const page = CODE + random.below(pages) * PAGE;
    const gpa = page + (random.chance(25) ? PAGE - 1 - random.below(20) : random.below(PAGE));
    const key = limited(modeKey, gpa, random);
    if (random.chance(2)) for (const { engine } of sides) engine.cache.isolate(gpa + 3);
    expect(blockOf(a, gpa, key), `${gpa.toString(16)} ${key}`).toEqual(blockOf(b, gpa, key));
  }
}

describe('decoding in WebAssembly', () => {
  it.each(MODE_KEYS)('makes of random code in mode %i the records that decode.ts makes', (key) => {
    const random = new Random(key);
    const sides = [side(true, key % 3 !== 0), side(false, key % 3 !== 0)] as const;
    const from = Array.from({ length: 35 }, () => random.pick(instructions));
    for (let n = 0; n < 2; n++) {
      fill(sides, codeOf((key & 0x7f) as 16 | 32 | 64, random, from));
      compare(sides, key, random, 150);
    }
  });

  it('makes of what kernels run the same records, and seldom asks for what it has learned', () => {
    const random = new Random(1);
    const sides = [side(true, true), side(false, true)] as const;
    const [quick, plain] = [sides[0].engine.cache, sides[1].engine.cache];
    for (const mode of [64, 32]) {
      const lines = hotList.filter((line) => line.startsWith(`${mode}`)).slice(0, 60);
      const examples = lines.map((line) => [...Buffer.from(line.split(' ')[1] ?? '', 'hex')]);
      const bytes: number[] = [];
      while (bytes.length < PAGES * PAGE) bytes.push(...random.pick(examples));
      fill(sides, bytes.slice(0, PAGES * PAGE));
      const modeKey = mode | (mode === 32 ? MODE_KEY_FLAT : 0);
      compare(sides, modeKey, random, 600, PAGES - 1);
      const [asked, all] = [quick.asked, plain.asked];
      compare(sides, modeKey, random, 200, PAGES - 1);
      expect(quick.asked - asked).toBeLessThan((plain.asked - all) / 5);
    }
  });
});
