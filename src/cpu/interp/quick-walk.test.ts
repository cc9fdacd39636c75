// Quick walks against the MMU itself: random tables, modes and accesses, the same memory, entries, faults and answers.

import { describe, expect, it } from 'vitest';
import {
  CR0_PG,
  CR0_WP,
  CR4_PCIDE,
  CR4_PGE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_NXE,
  EFLAGS_AC,
} from '../control-bits.ts';
import { CS } from '../descriptors.ts';
import { FRAME_CODE, FRAME_MMIO, FRAME_WATCH } from '../frames.ts';
import type { SlowPath } from '../slow/define.ts';
import { slowPaths } from '../slow/registry.ts';
import { DEVICE_PAGE, FIELDS, SCRATCH_AT, SEG_LIMIT, STATE_BYTES } from '../state.ts';
import { NO_INTERRUPTS } from '../testing/machine.ts';
import { enablePaging, type Paging } from '../testing/page-tables.ts';
import { type SmallMachine, smallMachine } from '../testing/small-machine.ts';
import { tablePlaces } from './block-table.ts';
import { JUMP_SET_BYTES, JUMP_SETS } from './lookup.ts';
import { quickCalls } from './quick-calls.ts';
import { quickWalks } from './quick-walk.ts';
import { HANDLER_GUARD, R_HANDLER } from './records.ts';

const RAM = 1 << 20;
const FRAMES = RAM >>> 12;
const ROUNDS = 30;
const ACCESSES = 60;
/** Frames 16..31 hold tables, 32.. data; few, so that walks meet marked and shared tables. */
const TABLES = 16;
const TABLE_FRAMES = 16;

type Access = (va: number, bytes: number, stack: number) => number;
interface Ways {
  readonly load: Access;
  readonly rmw: Access;
  readonly store: Access;
  readonly probe: Access;
  readonly loadDevice: Access;
  readonly storeDevice: Access;
  readonly find: (patch: number) => number;
  /** A slow path by name. */
  readonly slow: (name: string, ...args: (number | bigint)[]) => number;
}

class Random {
  private x: number;
  constructor(seed: number) {
    this.x = seed | 1;
  }
  next(below: number): number {
    this.x ^= this.x << 13; // Marsaglia, Xorshift RNGs, 2003.
    this.x ^= this.x >>> 17;
    this.x ^= this.x << 5;
    return (this.x >>> 0) % below;
  }
  oneIn(n: number): boolean {
    return this.next(n) === 0;
  }
  of<T>(list: readonly T[]): T {
    return list[this.next(list.length)] as T;
  }
}

/** The MMU, and what the engine's `find` does with it: the record at a word that the block's address gives, or 0. */
function slowWays(m: SmallMachine): Ways & { calls: number; devices: number } {
  const ways = {
    calls: 0,
    /** Of them, at devices that a quick walk has found. */
    devices: 0,
    load: (va: number, bytes: number, stack: number) => {
      ways.calls++;
      return m.mmu.loadSlow(va, bytes, stack);
    },
    rmw: (va: number, bytes: number, stack: number) => {
      ways.calls++;
      return m.mmu.rmwSlow(va, bytes, stack);
    },
    store: (va: number, bytes: number, stack: number) => {
      ways.calls++;
      return m.mmu.storeSlow(va, bytes, stack);
    },
    probe: (va: number, bytes: number, stack: number) => {
      ways.calls++;
      return m.mmu.probeSlow(va, bytes, stack);
    },
    loadDevice: (va: number, bytes: number, stack: number) => {
      ways.calls++;
      ways.devices++;
      return m.mmu.loadDevice(va, bytes, stack);
    },
    storeDevice: (va: number, bytes: number, stack: number) => {
      ways.calls++;
      ways.devices++;
      return m.mmu.storeDevice(va, bytes, stack);
    },
    slow: (name: string, ...args: (number | bigint)[]) => {
      ways.calls++;
      return m.call(slowPaths.get(name) as SlowPath, ...args);
    },
    find: (patch: number) => {
      ways.calls++;
      const gpa = m.mmu.fetch(m.state.getVa(FIELDS.rip));
      if (gpa < 0 || !m.mmu.isRam(gpa)) return 0;
      const record = remembered(m, gpa);
      if (record !== 0 && patch !== 0) m.state.views.i32[patch >> 2] = record;
      return record;
    },
  };
  return ways;
}

function quickWays(m: SmallMachine, behind: Ways): Ways {
  const names = [...slowPaths.keys()];
  const { slow } = quickCalls(m.memory, m.layout, names, {
    slow: (id) => behind.slow(names[id] as string, m.state.arg64(0), m.state.arg64(1)),
    segment: () => 1,
    hypercall: () => 1,
    ...NO_INTERRUPTS,
  });
  return {
    ...(quickWalks(m.memory, m.layout, behind) as unknown as Ways),
    slow: (name, ...args) => {
      args.forEach((value, n) => void m.state.argSet64(n, BigInt.asUintN(64, BigInt(value))));
      return (slow as (id: number) => number)(names.indexOf(name));
    },
  };
}

function slotOf(m: SmallMachine, gpa: number): number {
  return (m.layout.engine + ((gpa ^ (gpa >>> 12)) & (JUMP_SETS - 1)) * JUMP_SET_BYTES) >> 2;
}

function remembered(m: SmallMachine, gpa: number): number {
  const { u16, u32 } = m.state.views;
  const slot = slotOf(m, gpa);
  if (u32[slot] !== gpa || u32[slot + 1] !== m.state.get(FIELDS.modeKey)) return 0;
  const record = u32[slot + 2] as number;
  return u16[(record + R_HANDLER) >> 1] === HANDLER_GUARD ? 0 : record;
}

/** An entry that mostly leads on: flags, a frame, and now and then what is reserved, or leads out of RAM. */
function entry(r: Random, table: boolean, pae: boolean): bigint {
  let lo = (r.oneIn(12) ? 0 : 1) | (r.oneIn(5) ? 0 : 2) | (r.oneIn(3) ? 0 : 4);
  lo |= r.next(8) << 5;
  if (table && !r.oneIn(8)) lo &= ~0x80;
  if (r.oneIn(3)) lo |= 0x100;
  const frame = table
    ? TABLES + r.next(TABLE_FRAMES)
    : r.oneIn(6)
      ? FRAMES + r.next(9)
      : r.next(FRAMES);
  let value = (BigInt(frame) << 12n) | BigInt(lo);
  if (!pae) return value;
  if (r.oneIn(6)) value |= 1n << 63n;
  if (r.oneIn(40)) value |= 1n << BigInt(32 + r.next(31));
  return value;
}

function fillTables(
  r: Random,
  paging: Paging,
  write: (frame: number, words: readonly bigint[]) => void,
) {
  for (let n = 0; n < TABLE_FRAMES; n++) {
    const table = n < TABLE_FRAMES - 5;
    write(
      TABLES + n,
      Array.from({ length: 512 }, () => {
        if (paging !== '32-bit') return entry(r, table, true);
        return entry(r, table, false) | (entry(r, table, false) << 32n);
      }),
    );
  }
}

function setUp(m: SmallMachine, seed: number, paging: Paging): void {
  const r = new Random(seed);
  m.mmu.flushAll();
  m.state.views.u8.fill(0, m.layout.ramBase, m.layout.ramBase + RAM);
  for (let frame = 0; frame < FRAMES; frame++) {
    m.mmu.clearFrame(frame, 0xff);
    if (r.oneIn(8)) m.mmu.setFrame(frame, r.of([FRAME_CODE, FRAME_WATCH, FRAME_MMIO]));
  }
  markCode(m, r);
  m.state.setSegBase(CS, 0);
  m.state.setSeg(CS, SEG_LIMIT, 0xffffffff);
  enablePaging(m, paging);
  fillTables(r, paging, (frame, words) => m.write64(frame << 12, ...words));
  if (paging === 'pae')
    for (let n = 0; n < 4; n++)
      m.write64((TABLES << 12) + 8 * n, (BigInt(TABLES + 1 + n) << 12n) | (r.oneIn(6) ? 3n : 1n));
  const flip = (name: 'cr0' | 'cr4' | 'efer', bit: number) => {
    if (r.oneIn(2)) m.state.set(name, (m.state.get(name) ^ bit) >>> 0);
  };
  flip('cr0', CR0_WP);
  for (const bit of [CR4_PGE, CR4_SMAP, CR4_SMEP, CR4_PCIDE]) flip('cr4', bit);
  if (r.oneIn(4)) flip('efer', EFER_NXE);
  if (r.oneIn(12) && paging !== '4-level') flip('cr0', CR0_PG);
}

/** Some bytes of frames with code are code. */
function markCode(m: SmallMachine, r: Random): void {
  const { u32 } = m.state.views;
  const at = tablePlaces(m.layout).granules >> 2;
  for (let word = 0; word < 2 * FRAMES; word++) u32[at + word] = r.next(2 ** 31) & r.next(2 ** 31);
  const has = (gpa: number) => ((u32[at + (gpa >>> 11)] as number) >>> ((gpa >>> 6) & 31)) & 1;
  m.engine.codeAt = (gpa, bytes) => (has(gpa) | has(gpa + bytes - 1)) !== 0;
}

/** One access, the same on both. */
function act(seed: number, m: SmallMachine, ways: Ways): unknown {
  const r = new Random(seed);
  if (r.oneIn(4)) {
    m.state.set('cpl', r.oneIn(2) ? 3 : 0);
    m.state.set('eflags', r.oneIn(2) ? 2 : 2 | EFLAGS_AC);
    m.cx.modeChanged();
  }
  if (r.oneIn(30)) {
    const root = (BigInt(r.of([0, 0, 0, 1 << 31, 1 << 8])) << 32n) | BigInt(TABLES << 12);
    return [ways.slow('write_control', 3, root), m.fault(), m.state.get64('cr3')];
  }
  const wide = m.state.get('codeMode') === 64;
  // Few pages at each level, and few bytes at their ends.
  const upper = wide ? r.of([0, 1, 255, 256, 511]) : 0;
  const low = ((r.next(4) << 30) | (r.next(3) << 21) | (r.next(6) << 12)) >>> 0;
  const offset = r.oneIn(10) ? 4090 + r.next(6) : r.next(4080);
  const top = upper * 2 ** 39 + (wide ? r.next(3) * 2 ** 32 : 0);
  const canonical = top + low + offset - (upper >= 256 ? 2 ** 48 : 0);
  const va = wide && r.oneIn(60) ? canonical + 2 ** 47 : canonical;
  const { state } = m;
  if (r.oneIn(25)) ways.slow('invlpg', va);
  state.setVa('faultAddress', 0);
  state.raise(0, null);
  if (r.oneIn(4)) {
    state.setVa('rip', va);
    return [ways.find(r.oneIn(2) ? 0 : m.layout.engine + 0x200000), m.fault()];
  }
  state.views.u32.set([r.next(1 << 30), 2, 3, 4], (state.base + SCRATCH_AT) >> 2);
  const answer = ways[r.of(['load', 'load', 'rmw', 'store', 'probe'] as const)](
    va,
    r.of([1, 2, 4, 8, 10, 16]),
    r.next(2),
  );
  return [answer, m.fault(), state.getVa('faultAddress')];
}

/** State, TLBs, their lists, attributes; RAM. */
function memoryOf({ state, layout }: SmallMachine): Buffer[] {
  const { buffer } = state.views.u8;
  state.views.u32[(layout.tlbLists + DEVICE_PAGE) >> 2] = 0; // Nobody reads what an earlier access has left.
  const end = layout.frameAttrs + FRAMES;
  return [
    Buffer.from(buffer, state.base, STATE_BYTES),
    Buffer.from(buffer, layout.dataTlbs, end - layout.dataTlbs),
    Buffer.from(buffer, layout.ramBase, RAM),
  ];
}

describe.each(['32-bit', 'pae', '4-level'] as const)('%s paging', (paging) => {
  it('is walked as the MMU walks it', () => {
    const [a, b] = [smallMachine(RAM), smallMachine(RAM)];
    const [direct, behind] = [slowWays(a), slowWays(b)];
    const quick = quickWays(b, behind);
    for (let round = 1; round <= ROUNDS; round++) {
      const seed = round * 0x9e3779b1;
      for (const m of [a, b]) setUp(m, seed, paging);
      for (const m of [a, b]) fillJumpCache(m);
      for (let n = 1; n <= ACCESSES; n++) {
        const step = (seed + n * 0x85ebca6b) | 0;
        const [answer, wanted] = [act(step, b, quick), act(step, a, direct)];
        if (String(answer) !== String(wanted))
          // An `expect` for each costs more than what it asks.
          expect(answer, `round ${round}, access ${n}`).toEqual(wanted);
      }
      const [left, right] = [memoryOf(a), memoryOf(b)];
      left.forEach((bytes, part) => {
        const differs = bytes.equals(right[part] as Buffer)
          ? -1
          : firstDifference(bytes, right[part] as Buffer);
        expect(differs, `round ${round}, part ${part}`).toBe(-1);
      });
      expect(b.log).toEqual(a.log);
    }
    // Most of it is done without the MMU.
    expect(behind.calls).toBeLessThan(direct.calls * 0.6);
    expect(behind.devices).toBeGreaterThan(5);
  });
});

/** Some blocks of every frame are known; some of them begin with a guard. */
function fillJumpCache(m: SmallMachine): void {
  const { u16, u32 } = m.state.views;
  const record = m.layout.engine + 0x100000;
  u16[(record + R_HANDLER) >> 1] = HANDLER_GUARD;
  for (let gpa = 0; gpa < RAM; gpa += 24) {
    const slot = slotOf(m, gpa);
    u32.set([gpa, m.state.get(FIELDS.modeKey), gpa % 7 === 0 ? record : record + 64], slot);
  }
}

function firstDifference(a: Buffer, b: Buffer): number {
  return a.findIndex((byte, n) => byte !== b[n]);
}
