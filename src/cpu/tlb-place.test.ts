// Places that the TLB has: those of the MMU, and none where the MMU has something to say first.

import { beforeEach, expect, it } from 'vitest';
import { FRAME_CODE, FRAME_WATCH } from './frames.ts';
import { enablePaging, map, P, W } from './testing/page-tables.ts';
import { type SmallMachine, smallMachine } from './testing/small-machine.ts';
import { codePlace, tlbPlace } from './tlb-place.ts';

const VA = 0x402000;
const FRAME = 0x30000;

let m: SmallMachine;

beforeEach(() => {
  m = smallMachine(4 << 20);
  enablePaging(m, '4-level');
  map(m, '4-level', VA, BigInt(FRAME) | P | W);
});

const place = (lo: number, bytes: number, writes: 0 | 1, hi = 0): number =>
  tlbPlace(m.state.views.i32, m.state.words, lo, hi, bytes, writes);
const code = (lo: number, hi = 0): number => codePlace(m.state.views.i32, m.state.words, lo, hi);

it('a page that nobody has come to yet has none', () => {
  expect(place(VA, 8, 0)).toBe(0);
});

it('a page that was read can be read, at the place that the MMU gives, and not written', () => {
  const at = m.mmu.loadSlow(VA + 0x18, 8, 0);
  expect(place(VA + 0x18, 8, 0)).toBe(at);
  expect(place(VA + 0x18, 8, 1)).toBe(0);
});

it('a page that was written can be written', () => {
  const at = m.mmu.rmwSlow(VA + 0x18, 8, 0);
  expect(place(VA + 0x18, 8, 1)).toBe(at);
});

it('code that was fetched lies where the MMU says, and nowhere before or in another part of the address space', () => {
  expect(code(VA + 0x18)).toBe(-1);
  const gpa = m.mmu.fetch(VA + 0x18);
  expect(gpa).toBe(FRAME + 0x18);
  expect([code(VA + 0x18), code(VA + 0x18, 1), code(VA + 0x1018)]).toEqual([gpa, -1, -1]);
});

it('the same low half in another part of the address space has none', () => {
  m.mmu.loadSlow(VA, 8, 0);
  expect(place(VA, 8, 0, 1)).toBe(0);
});

it('what goes on in the next page has none', () => {
  m.mmu.rmwSlow(VA, 8, 0);
  expect(place(VA + 0xff8, 8, 1)).not.toBe(0);
  expect(place(VA + 0xff8, 9, 1)).toBe(0);
});

it.each([
  ['holds code', FRAME_CODE],
  ['is watched', FRAME_WATCH],
])('a frame that %s can be read, and not written', (_what, bit) => {
  m.mmu.rmwSlow(VA, 8, 0);
  m.mmu.setFrame(FRAME >> 12, bit);
  expect(place(VA, 8, 0)).not.toBe(0);
  expect(place(VA, 8, 1)).toBe(0);
});
