// A kernel's stack told by its unwind tables, on memory as a vCPU has it.

import { describe, expect, it } from 'vitest';
import { testPlatform } from '../../hypervisors/testing/platform.ts';
import { ORC_REG, ORC_TYPE, type OrcEntry, symbolTable } from '../../image/index.ts';
import { LinkAddress } from './link-address.ts';
import { Unwinder } from './unwinder.ts';

const STACK = 0x9000;
const BANNER_AT = 0x5000;
const BANNER = Array.from('Linux version 6.1.0 (made up)\0', (letter) => letter.charCodeAt(0));

const entry = (changes: Partial<OrcEntry>): OrcEntry => ({
  ...{ spOffset: 8, bpOffset: 0, spReg: ORC_REG.sp, bpReg: 0, type: ORC_TYPE.call, end: false },
  ...changes,
});

/** Functions of 256 bytes each from 0x1000 on, and one unwind entry for each. */
function unwinder(orc: readonly OrcEntry[], words: Readonly<Record<number, number>>) {
  const { cpu } = testPlatform();
  const { views, layout } = cpu;
  views.u8.set(BANNER, layout.ramBase + BANNER_AT);
  for (const [at, value] of Object.entries(words))
    views.u32[(layout.ramBase + Number(at)) >>> 2] = value;
  const names = orc.map((_, n) => ({ address: 0x1000 + n * 0x100, type: 't', name: `f${n}` }));
  const symbols = symbolTable([...names, { address: 0x4000, type: 'd', name: '_end' }]);
  const segment = { type: 1, flags: 7, offset: 0, vaddr: 0x1000n, paddr: 0x1000, align: 4096 };
  const link = new LinkAddress({
    ...{ bits: 64, type: 2, machine: 62, entry: 0n, sections: [] },
    bytes: Uint8Array.from([...new Array(BANNER_AT - 0x1000).fill(0), ...BANNER]),
    segments: [{ ...segment, fileBytes: BANNER_AT - 0x1000 + BANNER.length, memBytes: 0x8000 }],
  });
  const find = (address: number) => orc[(address - 0x1000) >> 8] ?? null;
  return new Unwinder(cpu, { size: orc.length, find }, symbols, link);
}
const from = { ip: 0x1010, sp: STACK, bp: 0, returned: false };

describe('the functions beyond one that asks', () => {
  it('are those to which the stack returns, by the depth that the tables tell of each', () => {
    const orc = [entry({ spOffset: 24 }), entry({}), entry({ spOffset: 16 }), entry({ end: true })];
    const words = {
      [STACK + 16]: 0x1120,
      [STACK + 24]: 0x1220,
      [STACK + 40]: 0x1300 + 5,
      [STACK + 48]: 0x1005,
    };
    expect(unwinder(orc, words).callers(from)).toBe('f1 f2 f3');
  });

  it('hang on RBP where a function says so, which is got back from its frame', () => {
    const orc = [
      entry({ spOffset: 16, bpOffset: -16, bpReg: ORC_REG.prevSp }),
      entry({ spReg: ORC_REG.bp, spOffset: 16 }),
      entry({ end: true }),
    ];
    const words = { [STACK]: STACK + 0x40, [STACK + 8]: 0x1120, [STACK + 0x48]: 0x1220 };
    expect(unwinder(orc, words).callers(from)).toBe('f1 f2');
  });

  it('end at an exception, at what is no code, at a stack that does not grow, and in time', () => {
    const regs = [entry({}), entry({ type: ORC_TYPE.regs }), entry({})];
    const words = { [STACK]: 0x1120, [STACK + 8]: 0x1220 };
    expect(unwinder(regs, words).callers(from)).toBe('f1');
    expect(unwinder([entry({})], { [STACK]: 0x8000_0000 }).callers(from)).toBe('');
    expect(unwinder([entry({ spOffset: 0 })], words).callers(from)).toBe('');
    const recursive = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [STACK + 8 * n, 0x1020]),
    );
    expect(
      unwinder([entry({})], recursive)
        .callers(from)
        .split(' '),
    ).toHaveLength(8);
  });
});
