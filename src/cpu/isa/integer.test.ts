// Spot tests of integer instructions with answers from the SDM: faults without a trace, 16-bit code, repeats, odd results.

import { describe, expect, it } from 'vitest';
import { decode } from '../decode.ts';
import { programOf } from '../program.ts';
import { readStatusFlags, writeStatusFlags } from '../reference/flags.ts';
import { executeOne } from '../reference.ts';
import { createMachine, type Machine, readRam, writeRam } from '../testing/machine.ts';
import { modeOf, type Setup, WORLD } from '../testing/world.ts';

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const DATA = BigInt(WORLD.data.at);
const READ_ONLY = BigInt(WORLD.readOnly.at);
const UNMAPPED = BigInt(WORLD.unmapped.at);
const CODE = BigInt(WORLD.code.at);
const STACK = BigInt(WORLD.stack.at + 0x1000);

interface Start {
  readonly setup?: Setup;
  readonly code: string;
  readonly regs?: Readonly<Record<number, bigint>>;
  readonly flags?: number;
  readonly memory?: readonly (readonly [bigint, readonly number[]])[];
}

interface After {
  readonly m: Machine;
  readonly fault: number | null;
  readonly rip: bigint;
  reg(n: number): bigint;
  flags(): number;
  bytes(at: bigint, count: number): number[];
}

/** One instruction (of a repeated one, `times` iterations) on the reference evaluator. */
function run(start: Start, times = 1): After {
  const m = createMachine(start.setup ?? 'long');
  const { state } = m;
  for (const [n, value] of Object.entries(start.regs ?? {})) state.setGpr(Number(n), value);
  for (const [at, bytes] of start.memory ?? []) writeRam(m, Number(at), bytes);
  writeStatusFlags(state, start.flags ?? 0);
  const code = Uint8Array.from(start.code.split(' ').map((byte) => Number.parseInt(byte, 16)));
  const d = decode(code, 0, code.length, modeOf(m.setup));
  if ('failure' in d) throw new Error(`no instruction: ${start.code}`);
  const { osize, asize, mode } = d.variant;
  m.cx.insn = { osize, asize, mode, length: d.length };
  let fault: number | null = null;
  for (let n = 0; n < times && fault === null; n++) {
    if (executeOne(m.cx, d, programOf(d)) === 1) fault = state.get('faultVector');
  }
  return {
    m,
    fault,
    rip: state.get64('rip'),
    reg: (n) => state.gpr(n),
    flags: () => readStatusFlags(state),
    bytes: (at, count) => [...readRam(m, Number(at), count)],
  };
}

describe('a fault leaves no trace', () => {
  it('push to an unmapped page leaves rSP', () => {
    const after = run({ code: '50', regs: { [RSP]: UNMAPPED + 0x100n } });
    expect(after.fault).toBe(14);
    expect(after.reg(RSP)).toBe(UNMAPPED + 0x100n);
  });

  it('pop to a read-only page leaves rSP', () => {
    const after = run({ code: '8f 00', regs: { [RAX]: READ_ONLY, [RSP]: STACK } });
    expect(after.fault).toBe(14);
    expect(after.reg(RSP)).toBe(STACK);
  });

  it('an unequal cmpxchg still needs a writable destination', () => {
    // SDM 2A CMPXCHG: "the destination operand receives a write cycle without regard to the result".
    const after = run({ code: '0f b1 0b', regs: { [RBX]: READ_ONLY, [RAX]: 5n }, flags: 0x40 });
    expect(after.fault).toBe(14);
    expect([after.reg(RAX), after.flags()]).toEqual([5n, 0x40]);
  });

  it('xchg with a read-only page changes neither operand', () => {
    const after = run({ code: '87 0b', regs: { [RBX]: READ_ONLY, [RCX]: 7n } });
    expect([after.fault, after.reg(RCX)]).toEqual([14, 7n]);
  });

  it('bt reads a read-only page, bts faults on it', () => {
    expect(run({ code: '0f a3 0b', regs: { [RBX]: READ_ONLY } }).fault).toBeNull();
    expect(run({ code: '0f ab 0b', regs: { [RBX]: READ_ONLY } }).fault).toBe(14);
  });

  it('a call to a non-canonical address faults before it pushes', () => {
    const after = run({ code: 'ff d0', regs: { [RAX]: 1n << 47n, [RSP]: STACK } });
    expect([after.fault, after.reg(RSP), after.rip]).toEqual([13, STACK, CODE]);
  });

  it('a ret to a non-canonical address leaves rSP', () => {
    const target = [0, 0, 0, 0, 0, 0, 1, 0];
    const after = run({ code: 'c3', regs: { [RSP]: STACK }, memory: [[STACK, target]] });
    expect([after.fault, after.reg(RSP)]).toEqual([13, STACK]);
  });

  it('movs that faults in its store leaves the pointers and the count', () => {
    const regs = { [RSI]: DATA, [RDI]: UNMAPPED, [RCX]: 3n };
    const after = run({ code: 'f3 a4', regs });
    expect(after.fault).toBe(14);
    expect([after.reg(RSI), after.reg(RDI), after.reg(RCX)]).toEqual([DATA, UNMAPPED, 3n]);
  });

  it('a misaligned cmpxchg16b raises #GP(0)', () => {
    const after = run({ code: '48 0f c7 0b', regs: { [RBX]: DATA + 8n } });
    expect([after.fault, after.m.state.get('faultError')]).toEqual([13, 0]);
  });

  it('enter that cannot save the frame pointer changes no register', () => {
    const regs = { [RSP]: UNMAPPED + 0x10n, [RBP]: STACK };
    const after = run({ code: 'c8 10 00 00', regs });
    expect([after.fault, after.reg(RSP), after.reg(RBP)]).toEqual([14, UNMAPPED + 0x10n, STACK]);
  });
});

describe('repeated string instructions', () => {
  it('do nothing when rCX is 0', () => {
    const after = run({ code: 'f3 aa', regs: { [RDI]: UNMAPPED, [RCX]: 0n } });
    expect([after.fault, after.rip]).toEqual([null, CODE + 2n]);
  });

  it('stay at the same RIP between iterations', () => {
    const start = { code: 'f3 aa', regs: { [RDI]: DATA, [RCX]: 2n, [RAX]: 0x5an } };
    expect(run(start).rip).toBe(CODE);
    expect(run(start, 2).rip).toBe(CODE + 2n);
    expect(run(start, 2).bytes(DATA, 2)).toEqual([0x5a, 0x5a]);
  });

  it('keep what earlier iterations did when a later one faults', () => {
    const regs = { [RSI]: UNMAPPED - 1n, [RCX]: 4n };
    const after = run({ code: 'f3 ac', regs }, 4);
    expect([after.fault, after.reg(RSI), after.reg(RCX)]).toEqual([14, UNMAPPED, 3n]);
  });

  it('use ECX, ESI and EDI with a 32-bit address size, and clear the upper halves', () => {
    const high = 0xffffffff00000000n;
    const regs = { [RSI]: high | DATA, [RDI]: high | (DATA + 8n), [RCX]: high | 2n };
    const after = run({ code: '67 f3 a4', regs });
    expect([after.fault, after.reg(RSI), after.reg(RCX)]).toEqual([null, DATA + 1n, 1n]);
  });
});

describe('16-bit code', () => {
  const DS = 0x20000n;
  const SS = 0x60000n;

  it('pushes through SP, which wraps, and leaves the upper half of ESP', () => {
    const after = run({ setup: 'real', code: '50', regs: { [RSP]: 0x12340000n, [RAX]: 0xbeefn } });
    expect(after.fault).toBeNull();
    expect(after.reg(RSP)).toBe(0x1234fffen);
  });

  it('reads SS:SP, not a linear address', () => {
    const start = { setup: 'real', code: '58', regs: { [RSP]: 0x100n } } as const;
    const after = run({ ...start, memory: [[SS + 0x100n, [0x34, 0x12]]] });
    expect([after.reg(RAX) & 0xffffn, after.reg(RSP)]).toEqual([0x1234n, 0x102n]);
  });

  it('wraps a bit string address within the segment', () => {
    // bt [bx], ax with bit offset -16: the word before DS:0 is DS:fffe.
    const start = { setup: 'real', code: '0f a3 07', regs: { [RBX]: 0n, [RAX]: 0xfff0n } } as const;
    expect(run({ ...start, memory: [[DS + 0xfffen, [1, 0]]] }).flags() & 1).toBe(1);
    expect(run({ ...start, memory: [[DS + 0xfffen, [0xfe, 0xff]]] }).flags() & 1).toBe(0);
  });

  it('into does nothing without OF', () => {
    const after = run({ setup: 'real', code: 'ce' });
    expect([after.fault, after.rip]).toEqual([null, 1n]);
  });

  it('a near call pushes IP in 16 bits and truncates the target', () => {
    const after = run({ setup: 'real', code: 'e8 fb ff', regs: { [RSP]: 0x100n } });
    expect(after.rip).toBe(0xfffen);
    expect(after.bytes(SS + 0xfen, 2)).toEqual([3, 0]);
  });

  it('aam divides by its immediate and raises #DE for 0', () => {
    const after = run({ setup: 'real', code: 'd4 0a', regs: { [RAX]: 0x4fn } });
    expect(after.reg(RAX) & 0xffffn).toBe(0x0709n);
    expect(run({ setup: 'real', code: 'd4 00' }).fault).toBe(0);
  });
});

describe('results that the SDM spells out', () => {
  it('push rSP stores the old value, pop rSP keeps the popped one', () => {
    const push = run({ code: '54', regs: { [RSP]: STACK } });
    expect(push.bytes(STACK - 8n, 4)).toEqual([0x00, 0x10, 0x06, 0x00]);
    const pop = run({
      code: '5c',
      regs: { [RSP]: STACK },
      memory: [[STACK, [8, 7, 6, 0, 0, 0, 0, 0]]],
    });
    expect(pop.reg(RSP)).toBe(0x60708n);
  });

  it('pop [rsp] stores at the address after the increment', () => {
    const value = [1, 2, 3, 4, 5, 6, 7, 8];
    const after = run({ code: '8f 04 24', regs: { [RSP]: STACK }, memory: [[STACK, value]] });
    expect(after.bytes(STACK + 8n, 8)).toEqual(value);
  });

  it('a 32-bit bsf of 0 leaves its destination whole and sets ZF', () => {
    const after = run({ code: '0f bc c1', regs: { [RAX]: 0x123456789n, [RCX]: 0n } });
    expect([after.reg(RAX), after.flags() & 0x40]).toEqual([0x123456789n, 0x40]);
  });

  it('a 32-bit cmov whose condition is false clears the upper half', () => {
    const after = run({ code: '0f 44 c1', regs: { [RAX]: 0xffffffffffn } });
    expect(after.reg(RAX)).toBe(0xffffffffn);
  });

  it('90 changes nothing, 41 90 exchanges r8 with rAX', () => {
    expect(run({ code: '90', regs: { [RAX]: 0x1ffffffffn } }).reg(RAX)).toBe(0x1ffffffffn);
    const after = run({ code: '49 90', regs: { [RAX]: 1n, 8: 2n } });
    expect([after.reg(RAX), after.reg(8)]).toEqual([2n, 1n]);
  });

  it('shl by a multiple of 32 changes no flag', () => {
    const after = run({ code: 'd3 e0', regs: { [RAX]: 0x80000001n, [RCX]: 0x40n }, flags: 0x8d5 });
    expect([after.reg(RAX), after.flags()]).toEqual([0x80000001n, 0x8d5]);
  });

  it('divides 128 bits by 64, and raises #DE when the quotient needs 65', () => {
    const regs = { [RDX]: 1n, [RAX]: 0n, [RBX]: 3n };
    const after = run({ code: '48 f7 f3', regs });
    expect([after.reg(RAX), after.reg(RDX)]).toEqual([0x5555555555555555n, 1n]);
    expect(run({ code: '48 f7 f3', regs: { ...regs, [RBX]: 1n } }).fault).toBe(0);
    const least = { [RDX]: 0xffffffffffffffffn, [RAX]: 1n << 63n, [RBX]: 0xffffffffffffffffn };
    expect(run({ code: '48 f7 fb', regs: least }).fault).toBe(0);
  });

  it('crc32 of "123456789" is the CRC-32C check value', () => {
    let sum = 0xffffffffn;
    for (const byte of '123456789') {
      const regs = { [RAX]: sum, [RCX]: BigInt(byte.charCodeAt(0)) };
      sum = run({ code: 'f2 0f 38 f0 c1', regs }).reg(RAX);
    }
    expect(sum ^ 0xffffffffn).toBe(0xe3069283n);
  });

  it('pushf clears VM and RF in the image and keeps DF and IF', () => {
    const after = run({ code: '9c', regs: { [RSP]: STACK }, flags: 0x8d5 });
    expect(after.bytes(STACK - 8n, 8)).toEqual([0xd7, 0x0a, 0, 0, 0, 0, 0, 0]);
  });

  it('bound raises #BR outside the bounds and nothing on them', () => {
    const setup = 'protected';
    const memory = [[DATA, [5, 0, 0, 0, 9, 0, 0, 0]]] as const;
    const at = (value: bigint) =>
      run({ setup, code: '62 03', regs: { [RBX]: DATA, [RAX]: value }, memory }).fault;
    expect([at(4n), at(5n), at(9n), at(10n)]).toEqual([5, null, null, 5]);
  });

  it('pusha stores the old ESP and popa skips it', () => {
    const start = { setup: 'protected', code: '60', regs: { [RSP]: STACK, [RDI]: 0x77n } } as const;
    const after = run(start);
    expect(after.reg(RSP)).toBe(STACK - 32n);
    expect(after.bytes(STACK - 32n, 1)).toEqual([0x77]);
    expect(after.bytes(STACK - 20n, 4)).toEqual([0x00, 0x10, 0x06, 0x00]);
    const frame = Array.from({ length: 32 }, (_, n) => n);
    const popped = run({
      setup: 'protected',
      code: '61',
      regs: { [RSP]: STACK },
      memory: [[STACK, frame]],
    });
    expect([popped.reg(RSP), popped.reg(RAX)]).toEqual([STACK + 32n, 0x1f1e1d1cn]);
  });
});
