// The quick ways of events and of IRET against the slow ones: the same state and memory, whatever the tables and the frame say.

import { beforeAll, describe, expect, it } from 'vitest';
import {
  CR0_AM,
  CR0_PE,
  CR4_SMAP,
  EFER_LMA,
  EFLAGS_AC,
  EFLAGS_IF,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_STATUS,
  EFLAGS_TF,
  EFLAGS_VM,
} from '../control-bits.ts';
import type { EngineName } from '../core.ts';
import { deliver, type Event } from '../deliver.ts';
import { readFlags } from '../flags.ts';
import { setPolicy } from '../policy.ts';
import { reset } from '../reset.ts';
import { checkSegment } from '../segment-check.ts';
import type { Cx } from '../slow/define.ts';
import { iret } from '../slow/iret.ts';
import { slowPaths } from '../slow/registry.ts';
import { FIELDS, GPR_AT, SEG_AT, SEG_STRIDE } from '../state.ts';
import {
  ABSENT,
  CODE0,
  CODE3,
  DATA0,
  DATA3,
  enterRing3,
  flat,
  GDT,
  gate32,
  IST1,
  loadTables,
  longGate,
  OTHER_CODE3,
  STACK0,
  setSeg,
  TSS,
} from '../testing/descriptor-tables.ts';
import { guest } from '../testing/guest.ts';
import { NO_INTERRUPTS } from '../testing/machine.ts';
import { enablePaging, map, P, PS, U, W } from '../testing/page-tables.ts';
import { Random } from '../testing/random.ts';
import { type SmallMachine, smallMachine } from '../testing/small-machine.ts';
import { type Quick, quickCalls } from './quick-calls.ts';
import { R_LEFT, R_OSIZE } from './records.ts';

const CASES = 600;
/** Entries of the GDT that the tables leave free, for ring 1. */
const [CODE1, DATA1] = [0x31, 0x41];
const RAM = 4 << 20;
/** What the tables and stacks of the tests lie in. */
const USED = 0x20000;
const IRET = [...slowPaths.keys()].indexOf('iret');
/** A record of the running instruction, in the engine's part of memory. */
const RECORD_AT = 64;
/** Lazy, or what engines may differ in. */
const NOT_COMPARED: ReadonlySet<string> = new Set([
  'flRes',
  'flX',
  'flOp',
  'flAux',
  'eflags',
  'faultVector',
  'faultError',
  'faultHasError',
]);

interface Side {
  readonly m: SmallMachine;
  readonly cx: Cx;
  readonly quick: Quick;
  /** How often the slow path of IRET was asked. */
  asked: number;
}

let slowly: Side;
let quickly: Side;
/** How often a quick way has done it, by what and mode. */
const taken = new Map<string, number>();
const count = (what: string, long: boolean) => {
  const key = `${what} ${long ? 64 : 32}`;
  taken.set(key, (taken.get(key) ?? 0) + 1);
};

function side(quick: boolean): Side {
  const m = smallMachine(RAM);
  const made: { asked: number; quick: Quick } = { asked: 0, quick: undefined as never };
  const slow = () => {
    made.asked++;
    return iret.run(m.cx);
  };
  made.quick = quickCalls(m.memory, m.layout, [...slowPaths.keys()], {
    slow,
    segment: () => 1,
    hypercall: () => 1,
    ...NO_INTERRUPTS,
  });
  const enter: Cx['enter'] = (vector, error, how) => {
    const done = made.quick.enter(vector, error, how);
    if (done) count('event', (m.state.get('efer') & EFER_LMA) !== 0);
    return done;
  };
  return Object.assign(made, { m, cx: quick ? { ...m.cx, enter } : m.cx });
}

/** Memory, TLB and registers as the seed says; `warm`: the TLB stays as it is. */
function setUp({ m }: Side, seed: number, warm: boolean): { event: Event; long: boolean } {
  const r = new Random(seed);
  const long = r.chance(60);
  if (!warm) m.state.views.u8.fill(0, m.layout.ramBase, m.layout.ramBase + USED);
  reset(m.state);
  enablePagingKept(m, long, warm);
  loadTables(m, long);
  m.write32(
    TSS + 4,
    STACK0 + r.pick([0, 0, 8, 4, 0xff0]),
    long ? 0 : r.pick([DATA0, DATA0, ABSENT, DATA3]),
  );
  if (long) m.write32(TSS + 0x24, IST1, 0);
  m.state.setSeg(7, 8, r.chance(90) ? 0x67 : 5);
  const vector = r.pick([0, 6, 13, 14, 14, 14, 0x20, 0x40]);
  const attr = r.chance(60) ? 0x8e : r.pick([0x8f, 0xee, 0x0e, 0x86, 0x8c]);
  const code = r.chance(70) ? CODE0 : r.pick([CODE0 | 3, 0, ABSENT, CODE3, OTHER_CODE3, DATA0]);
  if (long) longGate(m, vector, attr, code, r.pick([0, 0, 0, 1]));
  else gate32(m, vector, attr, code);
  m.state.set('cr4', m.state.get('cr4') | (r.chance(10) ? CR4_SMAP : 0));
  m.state.set('cr0', m.state.get('cr0') | (r.chance(20) ? CR0_AM : 0));
  const flags = r.u32() & (EFLAGS_STATUS | EFLAGS_IF | (r.chance(20) ? EFLAGS_TF | EFLAGS_AC : 0));
  m.state.set('eflags', (flags & ~EFLAGS_STATUS) | 2);
  m.state.set('flOp', 6 * 4);
  m.state.set('flAux', flags & EFLAGS_STATUS);
  if (r.chance(50)) enterRing3(m, long);
  if (r.chance(10)) m.state.setGpr(4, BigInt(r.pick([4, 0x9004, 0x8ffc])));
  m.state.setVa('faultAddress', long ? -8192 : 0xc0001000);
  m.state.setVa('rfAt', r.pick([0, 1001]));
  m.state.set('pendingDebug', r.pick([0, 0x4000]));
  m.state.set('irqLine', r.below(2));
  m.cx.modeChanged();
  const error = r.chance(50) ? r.below(32) : null;
  return { long, event: { vector, error, kind: r.pick(['fault', 'fault', 'interrupt'] as const) } };
}

/** The tables stand in memory that a warm start keeps. */
function enablePagingKept(m: SmallMachine, long: boolean, warm: boolean): void {
  const flush = m.mmu.flushAll;
  if (warm) m.mmu.flushAll = () => {};
  enablePaging(m, long ? '4-level' : '32-bit');
  m.mmu.flushAll = flush;
  map(m, long ? '4-level' : '32-bit', 0, P | W | U | PS, long ? 2 : 0);
}

/** A frame as a handler may have left it: now and then another selector or flag. */
function disturbFrame({ m }: Side, seed: number, long: boolean): void {
  const r = new Random(~seed);
  const bytes = long ? 8 : 4;
  const sp = m.state.gpr32(4);
  if (sp >= USED || sp % 4 !== 0) return;
  if (r.chance(40)) {
    const flag = r.pick([EFLAGS_TF, EFLAGS_NT, EFLAGS_RF, EFLAGS_AC, EFLAGS_VM, EFLAGS_IF]);
    m.write32(sp + 2 * bytes, m.read32(sp + 2 * bytes) ^ flag);
  }
  if (!long && r.chance(40)) moveToRing1(m, sp, r.pick([CODE1, CODE1, CODE3, CODE0]), r);
  else if (long && r.chance(40)) moveToRing3(m, sp, r);
  else if (r.chance(15)) m.write32(sp + bytes, r.pick([CODE0, CODE3, ABSENT, 0, OTHER_CODE3]));
  if (r.chance(15)) m.write32(sp + 4 * bytes, r.pick([DATA0, DATA3, ABSENT, 0]));
}

/** As a kernel that a hypervisor has moved there; `selector`: where its frame leads. */
function moveToRing1(m: SmallMachine, sp: number, selector: number, r: Random): void {
  m.write64(GDT + (CODE1 & ~7), flat(0xc0bb));
  m.write64(GDT + (DATA1 & ~7), flat(0xc0b3));
  setSeg(m, 1, CODE1, 0xc0bb);
  setSeg(m, 2, DATA1, 0xc0b3);
  m.state.set('cpl', 1);
  m.state.set('eflags', m.state.get('eflags') | (r.below(4) << EFLAGS_IOPL_SHIFT));
  m.cx.modeChanged();
  m.write32(sp + 4, selector);
  m.write32(sp + 16, DATA3);
}

/** As a 64-bit kernel of xen-pv: in ring 3, and back to it. */
function moveToRing3(m: SmallMachine, sp: number, r: Random): void {
  enterRing3(m, true);
  m.state.setGpr(4, BigInt(sp));
  m.state.set('eflags', m.state.get('eflags') | (r.pick([0, 1, 3]) << EFLAGS_IOPL_SHIFT));
  m.cx.modeChanged();
  m.write32(sp + 8, r.pick([CODE3, CODE3, CODE3, CODE3, OTHER_CODE3, CODE0]));
  m.write32(sp + 32, r.pick([DATA3, DATA3, DATA3, DATA3, DATA0, 0, 3]));
  // A return has to read the frame by user entries.
  if (r.chance(70)) m.mmu.read(sp, 40, 'current');
}

function returnFrom(s: Side, long: boolean, quick: boolean): 0 | 1 {
  const { m, cx } = s;
  const rec = m.layout.engine + RECORD_AT;
  m.insn.osize = long ? 64 : 32;
  m.state.views.u8[rec + R_OSIZE] = m.insn.osize;
  m.state.views.u8[rec + R_LEFT] = 1;
  m.state.set('rec', rec);
  m.state.setVa('horizon', 1001); // SmallMachine counts 1000.
  if (!quick) return iret.run(cx);
  const before = s.asked;
  const ring3 = m.state.get('cpl') === 3;
  const faulted = (s.quick.slow as (id: number) => 0 | 1)(IRET);
  if (s.asked === before) count(ring3 ? 'return in ring 3,' : 'return', long);
  return faulted;
}

/** All that a guest can tell. */
function told({ m }: Side): Record<string, number | string> {
  const { state, layout, mmu } = m;
  const { u8, u32 } = state.views;
  const all: Record<string, number | string> = { flags: readFlags(state) };
  for (const [name, { at, bits }] of Object.entries(FIELDS)) {
    if (NOT_COMPARED.has(name)) continue;
    const i = (state.base + at) >> 2;
    all[name] = bits === 64 ? `${u32[i + 1]}:${u32[i]}` : u32[i]!;
  }
  const range = (at: number, bytes: number) => u8.subarray(at, at + bytes).join();
  all.registers = range(state.base + GPR_AT, 16 * 8);
  all.segments = range(state.base + SEG_AT, 8 * SEG_STRIDE);
  all.memory = digest(u32.subarray(layout.ramBase >> 2, (layout.ramBase + USED) >> 2));
  all.tlb = Array.from(mmu.tlbEntries(), (at) => range(at, 28)).join();
  return all;
}

/** FNV-1a by words. */
function digest(words: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193) ^ (hash >>> 15);
  return hash;
}

beforeAll(() => {
  slowly = side(false);
  quickly = side(true);
});

describe('the quick ways of events', () => {
  it('do as the slow ones, or nothing: delivery, and the return from it', () => {
    for (let seed = 1; seed <= CASES; seed++) {
      const warm = new Random(seed + CASES).chance(80);
      const ends = [slowly, quickly].map((s) => {
        setUp(s, seed, false);
        if (warm) deliver(s.m.cx, setUp(s, seed, true).event);
        const { event, long } = setUp(s, seed, warm);
        const delivered = deliver(s.cx, event);
        const entered = told(s);
        disturbFrame(s, seed, long);
        const returned = delivered === 'ok' && returnFrom(s, long, s === quickly);
        return { delivered, entered, returned, after: told(s) };
      });
      expect(ends[1], `seed ${seed}`).toEqual(ends[0]);
    }
    expect([...taken.keys()].sort()).toEqual([
      'event 32',
      'event 64',
      'return 32',
      'return 64',
      'return in ring 3, 64',
    ]);
    expect(Math.min(...taken.values())).toBeGreaterThan(10);
  });
});

describe('the quick check of a segment', () => {
  it('allows what segment-check.ts allows, and asks it for the rest', () => {
    const m = smallMachine();
    const { state } = m;
    let asked = 0;
    const { segment } = quickCalls(m.memory, m.layout, [...slowPaths.keys()], {
      slow: () => 1,
      segment: (seg, offset, bytes, writes) => {
        asked++;
        return checkSegment(state, seg, offset >>> 0, bytes, writes !== 0);
      },
      hypercall: () => 1,
      ...NO_INTERRUPTS,
    });
    const check = segment as (seg: number, offset: number, bytes: number, writes: number) => number;
    const r = new Random(1);
    const cases = 3000;
    for (let n = 0; n < cases; n++) {
      state.set('cr0', r.chance(95) ? CR0_PE : 0);
      const seg = r.below(6);
      const limit = r.pick([0xffffffff, 0xffff, 0x1000, 0, r.u32()]);
      state.setSeg(seg, 8, limit);
      state.setSeg(seg, 12, r.pick([0xc093, 0xc0f3, 0x4091, 0xc097, 0xc09b, 0xc099, 0x10000]));
      const offset = r.pick([0, limit >>> 0, (limit - 3) >>> 0, 0xfffffffe, r.u32()]);
      const [bytes, writes] = [r.pick([1, 2, 4, 8, 16]), r.chance(50)];
      const wanted = checkSegment(state, seg, offset, bytes, writes);
      expect(check(seg, offset | 0, bytes, writes ? 1 : 0), `case ${n}`).toBe(wanted);
    }
    expect(asked).toBeLessThan(cases * 0.9);
  });
});

describe('a fault in code that runs', () => {
  /** On a page without code. EBX counts the handler's runs, which steps over the two bytes of UD2. */
  const program =
    'mov esp, 0x9800\nmov ebx, 0\nmov ecx, 2000\nagain:\nud2\ndec ecx\njnz again\nhlt';
  const run = (engine: EngineName, faultsExit = false) => {
    const g = guest(engine, { threshold: 16, batch: 1 });
    g.handler(6, 'inc ebx\nadd dword ptr [esp], 2\niretd').code(program);
    if (faultsExit) setPolicy(g.state, { exceptions: 1 << 6, instructions: 0 });
    const own = g.cpu.engine;
    let entries = 0;
    const { run: enter } = own;
    own.run = () => {
      entries++;
      return enter.call(own);
    };
    const exit = g.cpu.run(100_000);
    const { state } = g;
    return { entries, told: [exit.kind, g.cpu.retired(), state.gpr32(3), state.get('rip')] };
  };

  it.each(['interpreter', 'jit'] as const)('goes on at its handler within the %s', (engine) => {
    const { entries, told } = run(engine);
    expect(told).toEqual(run('reference').told);
    expect(told[2]).toBe(2000);
    expect(entries).toBeLessThan(100);
  });

  it('exits where the policy says so', () => {
    expect(run('jit', true).told).toEqual(run('reference', true).told);
    expect(run('jit', true).told[0]).toBe('exception');
  });
});
