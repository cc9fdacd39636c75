// Delivery of exceptions and interrupts: frames, stacks, privileges, double and triple faults.

import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_PE, EFLAGS_IF, EFLAGS_TF } from './control-bits.ts';
import { deliver, type Event } from './deliver.ts';
import { int } from './slow/interrupts.ts';
import {
  ABSENT,
  CODE0,
  CODE3,
  DATA0,
  DATA3,
  enterRing3,
  gate32,
  IST1,
  LONG_TARGET,
  loadTables,
  longGate,
  OTHER_CODE3,
  STACK0,
  STACK3,
  setSeg,
  TARGET32,
  TSS,
} from './testing/descriptor-tables.ts';
import { enablePaging, map, P, PS, U, W } from './testing/page-tables.ts';
import { type SmallMachine, smallMachine } from './testing/small-machine.ts';

const INTERRUPT_GATE = 0x8e;
const TRAP_GATE = 0x8f;
const interrupt = (vector: number): Event => ({ vector, error: null, kind: 'interrupt' });
const fault = (vector: number, error: number | null): Event => ({ vector, error, kind: 'fault' });

let m: SmallMachine;

describe('in IA-32e mode', () => {
  beforeEach(() => {
    m = smallMachine(4 << 20);
    enablePaging(m, '4-level');
    map(m, '4-level', 0, P | W | U | PS, 2);
    loadTables(m, true);
    m.write32(TSS + 4, STACK0, 0);
    m.write32(TSS + 0x24, IST1, 0);
    m.state.set('eflags', 2 | EFLAGS_IF);
  });

  it('an interrupt pushes SS:RSP, RFLAGS and CS:RIP on the aligned stack of its ring', () => {
    longGate(m, 0x20, INTERRUPT_GATE);
    m.state.setGpr(4, BigInt(STACK0 - 4));
    expect(deliver(m.cx, interrupt(0x20))).toBe('ok');
    const sp = STACK0 - 16 - 40;
    expect(m.state.gpr(4)).toBe(BigInt(sp));
    expect([0, 8, 16, 24, 32].map((n) => m.read64(sp + n))).toEqual([
      0x7000n,
      BigInt(CODE0),
      2n | BigInt(EFLAGS_IF),
      BigInt(STACK0 - 4),
      BigInt(DATA0),
    ]);
    expect(m.state.get64('rip')).toBe(LONG_TARGET);
    expect(m.state.get('eflags') & EFLAGS_IF).toBe(0);
  });

  it('a trap gate leaves IF set and clears TF', () => {
    longGate(m, 3, TRAP_GATE);
    m.state.set('eflags', 2 | EFLAGS_IF | EFLAGS_TF);
    deliver(m.cx, { vector: 3, error: null, kind: 'trap' });
    expect(m.state.get('eflags') & (EFLAGS_IF | EFLAGS_TF)).toBe(EFLAGS_IF);
  });

  it('a fault from ring 3 switches to RSP0 with a null SS and pushes RF and the error code', () => {
    longGate(m, 14, INTERRUPT_GATE);
    enterRing3(m, true);
    m.state.setVa('faultAddress', -4096);
    expect(deliver(m.cx, fault(14, 7))).toBe('ok');
    const sp = STACK0 - 48;
    expect(m.state.gpr(4)).toBe(BigInt(sp));
    expect(m.read64(sp)).toBe(7n);
    expect(m.read64(sp + 16)).toBe(BigInt(CODE3));
    expect(m.read64(sp + 24)).toBe(0x10202n);
    expect(m.read64(sp + 32)).toBe(BigInt(STACK3));
    expect(m.read64(sp + 40)).toBe(BigInt(DATA3));
    expect(m.state.seg(2, 16)).toBe(0);
    expect(m.state.get('cpl')).toBe(0);
    expect(m.state.getVa('cr2')).toBe(-4096);
  });

  it('IST stacks are taken in every ring', () => {
    longGate(m, 2, INTERRUPT_GATE, CODE0, 1);
    deliver(m.cx, interrupt(2));
    expect(m.state.gpr(4)).toBe(BigInt(IST1 - 40));
  });

  it('INT n needs a gate of its ring; the error code names the gate', () => {
    longGate(m, 0x21, INTERRUPT_GATE);
    enterRing3(m, true);
    expect(m.call(int, 0x21, 0)).toBe(1);
    expect(m.fault()).toBe(`#13(${0x21 * 8 + 2})`);
    longGate(m, 0x21, INTERRUPT_GATE | 0x60);
    expect(m.call(int, 0x21, 0)).toBe(0);
    expect(m.state.get64('rip')).toBe(LONG_TARGET);
  });

  it.each([
    ['an absent gate', 0x0e, CODE0, 'NP of the gate', 11, 0x22 * 8 + 2],
    ['a 32-bit segment', INTERRUPT_GATE, OTHER_CODE3 & ~3, 'GP of the selector', 13, 0x50],
    ['an absent segment', INTERRUPT_GATE, ABSENT, 'NP of the selector', 11, ABSENT],
    ['a null segment', INTERRUPT_GATE, 0, 'GP(0)', 13, 0],
  ] as const)('INT n through %s raises %s', (_name, attr, selector, _what, vector, error) => {
    longGate(m, 0x22, attr, selector);
    m.call(int, 0x22, 0);
    expect(m.fault()).toBe(`#${vector}(${error})`);
  });

  it('an interrupt that faults on the way is replaced, with EXT in the error code', () => {
    longGate(m, 13, INTERRUPT_GATE);
    expect(deliver(m.cx, interrupt(0x30))).toBe('ok');
    expect(m.read64(STACK0 - 48)).toBe(BigInt(0x30 * 8 + 3));
  });

  it('two contributory faults are a double fault', () => {
    longGate(m, 8, INTERRUPT_GATE, CODE0, 1);
    expect(deliver(m.cx, fault(13, 0))).toBe('ok');
    expect(m.state.gpr(4)).toBe(BigInt(IST1 - 48));
    expect(m.read64(IST1 - 48)).toBe(0n);
  });

  it('a page fault after a contributory fault is delivered as itself', () => {
    longGate(m, 13, INTERRUPT_GATE);
    longGate(m, 14, INTERRUPT_GATE, CODE0, 1);
    m.state.setGpr(4, 0x5000000n);
    expect(deliver(m.cx, fault(13, 0))).toBe('ok');
    expect(m.state.gpr(4)).toBe(BigInt(IST1 - 48));
    expect(m.read64(IST1 - 48)).toBe(2n);
    expect(m.state.getVa('cr2')).toBe(0x5000000 - 8);
  });

  it('a page fault during a page fault is a double fault', () => {
    longGate(m, 14, INTERRUPT_GATE);
    longGate(m, 8, INTERRUPT_GATE, CODE0, 1);
    m.state.setGpr(4, 0x5000000n);
    expect(deliver(m.cx, fault(14, 0))).toBe('ok');
    expect(m.state.gpr(4)).toBe(BigInt(IST1 - 48));
  });

  it('a fault during a double fault shuts down', () => {
    expect(deliver(m.cx, fault(13, 0))).toBe('shutdown');
  });
});

describe('in 32-bit protected mode', () => {
  beforeEach(() => {
    m = smallMachine();
    m.state.set('cr0', CR0_PE);
    loadTables(m, false);
    m.write32(TSS + 4, STACK0, DATA0);
    m.state.set('eflags', 2 | EFLAGS_IF);
  });

  it('a fault in the same ring pushes EFLAGS, CS, EIP and the error code', () => {
    gate32(m, 13, INTERRUPT_GATE);
    expect(deliver(m.cx, fault(13, 0x50))).toBe('ok');
    expect([0, 4, 8, 12].map((n) => m.read32(STACK0 - 16 + n))).toEqual([
      0x50,
      0x7000,
      CODE0,
      0x10202,
    ]);
    expect(m.state.get('rip')).toBe(TARGET32);
  });

  it('an interrupt from ring 3 takes SS0:ESP0 and pushes the old stack', () => {
    gate32(m, 0x20, INTERRUPT_GATE);
    enterRing3(m, false);
    expect(deliver(m.cx, interrupt(0x20))).toBe('ok');
    expect(m.state.gpr32(4)).toBe(STACK0 - 20);
    expect(m.read32(STACK0 - 8)).toBe(STACK3);
    expect(m.read32(STACK0 - 4)).toBe(DATA3);
    expect(m.state.seg(2, 16)).toBe(DATA0);
    expect(m.state.get('cpl')).toBe(0);
  });

  it('a bad SS0 is an invalid TSS', () => {
    gate32(m, 0x20, INTERRUPT_GATE | 0x60);
    m.write32(TSS + 4, STACK0, DATA3);
    enterRing3(m, false);
    expect(m.call(int, 0x20, 0)).toBe(1);
    expect(m.fault()).toBe(`#10(${DATA3 & ~3})`);
  });

  it('from virtual-8086 mode all data segments are pushed and nulled', () => {
    gate32(m, 0x20, INTERRUPT_GATE);
    enterRing3(m, false);
    m.state.set('eflags', 0x20202);
    [0, 1, 2, 3, 4, 5].forEach((n) => {
      setSeg(m, n, 0x100 + n, 0xf3);
    });
    m.cx.modeChanged();
    expect(deliver(m.cx, interrupt(0x20))).toBe('ok');
    expect([16, 12, 8, 4].map((n) => m.read32(STACK0 - n))).toEqual([0x100, 0x103, 0x104, 0x105]);
    expect(m.state.seg(5, 16)).toBe(0);
    expect(m.state.get('eflags') & 0x20000).toBe(0);
  });
});

describe('in real mode', () => {
  it('a vector is a far pointer, and three words are pushed', () => {
    m = smallMachine();
    m.write32(0x21 * 4, 0x12345678);
    m.state.setSegBase(1, 0xf0000);
    m.state.set('idtrLimit', 0x3ff);
    m.state.setGpr32(4, 0x2000);
    m.state.set('eflags', 2 | EFLAGS_IF);
    expect(deliver(m.cx, interrupt(0x21))).toBe('ok');
    expect(m.state.get('rip')).toBe(0x5678);
    expect(m.state.segBase(1)).toBe(0x12340);
    expect(m.state.gpr32(4)).toBe(0x1ffa);
    expect(m.read32(0x1ffc)).toBe(0x0202f000);
    expect(m.state.get('eflags') & EFLAGS_IF).toBe(0);
  });
});
