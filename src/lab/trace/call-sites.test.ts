// Who asked: callers by symbol, through stubs, wherever the kernel has been put.

import { describe, expect, it } from 'vitest';
import { CR0_PG, CR4_PAE, EFER_LMA } from '../../cpu/control-bits.ts';
import { testPlatform } from '../../hypervisors/testing/platform.ts';
import { parseElf, symbolTable } from '../../image/index.ts';
import { runKernel } from '../run.ts';
import {
  CLI_LOOP,
  KeepingConsole,
  LOAD_AT,
  printing,
  stillHost,
  tinyElf,
  tinySpec,
} from '../testing/tiny-kernel.ts';
import { LinkAddress } from './link-address.ts';
import { type TraceEvent, Tracer } from './tracer.ts';

const BANNER = Array.from('Linux version 6.1.0 (made up)\0', (letter) => letter.charCodeAt(0));
const call = (distance: number) => [0xe8, distance, 0, 0, 0];
/** push ecx; mov eax, 1; cpuid; pop ecx; ret */
const STUB = [0x51, 0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0x59, 0xc3];
const CPUID = [0x0f, 0xa2];
const STACK = [0xbc, 0, 0, 0x20, 0]; // mov esp, 0x200000

async function callersOf(code: readonly number[], names: Readonly<Record<string, number>>) {
  const all = [...STACK, ...code];
  const symbols = symbolTable([
    ...Object.entries(names).map(([name, at]) => ({ address: LOAD_AT + at, type: 't', name })),
    { address: LOAD_AT + all.length, type: 'd', name: 'banner' },
    { address: LOAD_AT + all.length + BANNER.length, type: 'd', name: '_end' },
  ]);
  const spec = tinySpec([...all, ...BANNER]);
  const events: TraceEvent[] = [];
  const tracer = new Tracer(spec.on.interface.ops, '', {
    operations: new Set(['cpu.cpuid'] as const),
    onEvent: (event) => events.push(event),
    symbols,
    elf: spec.kernel!.elf(),
  });
  await runKernel(stillHost, new KeepingConsole(), spec, { tracer });
  return events.map(({ caller, instructions }) => [caller, instructions]);
}

const END = [...printing('INIT-UP\n'), ...CLI_LOOP];

describe('a caller', () => {
  it('is the function that has the instruction', async () => {
    const code = [...CPUID, ...END];
    expect(await callersOf(code, { start: 0 })).toEqual([['start+0x5', 1]]);
  });

  it('is who has called, when the instruction stands in a stub; the whole way there and back counts', async () => {
    const code = [...call(END.length), ...END, ...STUB];
    const stub = STACK.length + 5 + END.length;
    expect(await callersOf(code, { start: 0, stub })).toEqual([['start+0xa', 6]]);
  });

  it('is found through a jump that leads to the stub', async () => {
    const jump = [0xe9, 0, 0, 0, 0];
    const code = [...call(END.length), ...END, ...jump, ...STUB];
    const thunk = STACK.length + 5 + END.length;
    expect(await callersOf(code, { start: 0, thunk, stub: thunk + 5 })).toEqual([['start+0xa', 7]]);
  });

  it('is the stub itself, when what lies on the stack is no call of it', async () => {
    const back = LOAD_AT + STACK.length + 5 + STUB.length;
    const push = [0x68, back & 0xff, (back >> 8) & 0xff, back >> 16, 0];
    const code = [...push, ...STUB, ...END];
    const [first] = await callersOf(code, { start: 0, stub: STACK.length + 5 });
    expect(first).toEqual(['stub+0x6', 1]);
  });
});

describe('a kernel that was put elsewhere', () => {
  const BASE = -0x7f000000;
  const linked = () => {
    const elf = parseElf(tinyElf([0x90, 0x90, ...BANNER]));
    const [load, ...rest] = elf.segments;
    return { ...elf, segments: [{ ...load!, vaddr: BigInt.asUintN(64, BigInt(BASE)) }, ...rest] };
  };

  function mapped(slide: number, bytes: readonly number[]) {
    const { cpu } = testPlatform();
    const { state, views, layout } = cpu;
    const entry = (at: number, value: number) => {
      views.u32[(layout.ramBase + at) >>> 2] = value;
    };
    entry(0x1000 + 511 * 8, 0x2003);
    entry(0x2000 + 510 * 8, 0x3003);
    entry(0x3000 + ((BASE + slide + 0x80000000) / 0x200000) * 8, 0x40_0083);
    views.u8.set(bytes, layout.ramBase + 0x40_0000);
    state.set64('cr3', 0x1000n);
    state.set('cr0', state.get('cr0') | CR0_PG);
    state.set('cr4', CR4_PAE);
    state.set('efer', EFER_LMA);
    return cpu;
  }

  it.each([0, 0x20_0000, 0x1200_0000, -0x20_0000])(
    'by %d bytes is known by its banner in memory',
    (slide) => {
      const code = [0x90, 0x90, ...BANNER];
      const link = new LinkAddress(linked());
      expect(link.of(mapped(slide, code), BASE + slide + 1)).toBe(BASE + 1);
    },
  );

  it('is not known while memory has no banner of it', () => {
    const link = new LinkAddress(linked());
    expect(link.of(mapped(0, [0x90, 0x90]), BASE + 1)).toBeNull();
    expect(link.of(mapped(0, [0x90, 0x90]), 0x1234)).toBeNull();
  });
});
