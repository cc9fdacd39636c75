// Tests of the local APIC against SDM 3A chapter 11: priorities, timer, lines, IPIs, x2APIC.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { ApicBus, DELIVERY } from './apic-bus.ts';
import { LAPIC, lapic } from './lapic.ts';

const out = new Uint32Array(2);

function bench(needs: { x2apic?: boolean; tscDeadline?: boolean; tscOffset?: number } = {}) {
  const bench = new BenchTop();
  const bus = new ApicBus();
  const events: string[] = [];
  const ended: number[] = [];
  bus.listen({ endOfInterrupt: (vector) => ended.push(vector) });
  const apic = bench.plug(lapic, {
    id: 0,
    clock: bench.clock,
    bus,
    x2apic: needs.x2apic ?? true,
    tscDeadline: needs.tscDeadline ?? true,
    tscOffset: () => needs.tscOffset ?? 0,
    changed: () => {},
    nmi: () => events.push('nmi'),
    init: () => events.push('init'),
    moved: (base, mapped) => events.push(`${mapped ? 'at' : 'gone from'} ${base.toString(16)}`),
  });
  const rdmsr = (index: number) => (apic.face.rdmsr(index, out) ? [out[0], out[1]] : null);
  const enable = () => apic.store(LAPIC.svr, 0x1ff);
  const fixed = (vector: number, level = false) =>
    bus.deliver(0, false, DELIVERY.fixed, vector, level);
  return { bench, bus, apic, events, ended, rdmsr, enable, fixed };
}

test('after power-up it is version 0x14 with six LVT entries, all masked, and software-disabled', () => {
  const { apic, fixed, rdmsr } = bench();
  expect(apic.load(LAPIC.version)).toBe(0x50014);
  expect(apic.load(LAPIC.svr)).toBe(0xff);
  for (let at = LAPIC.lvtTimer; at <= LAPIC.lvtError; at += 0x10)
    expect(apic.load(at)).toBe(0x10000);
  expect(fixed(0x40)).toBe(false);
  expect(rdmsr(0x1b)).toEqual([0xfee00900, 0]);
});

test('interrupts are delivered by class, and the end of one lets the next in', () => {
  const { apic, enable, fixed } = bench();
  enable();
  for (const vector of [0x31, 0x62, 0x35]) fixed(vector);
  expect(apic.face.acknowledge()).toBe(0x62);
  expect(apic.load(LAPIC.ppr)).toBe(0x60);
  expect(apic.face.pending()).toBe(-1);
  fixed(0x91);
  expect(apic.face.acknowledge()).toBe(0x91);
  apic.store(LAPIC.eoi, 0);
  expect(apic.face.pending()).toBe(-1);
  apic.store(LAPIC.eoi, 0);
  expect(apic.face.acknowledge()).toBe(0x35);
  expect(apic.load(LAPIC.isr + 0x10)).toBe(1 << 0x15);
  expect(apic.load(LAPIC.irr + 0x10)).toBe(1 << 0x11);
});

test('what is requested and in service comes back with its state, and goes with it', () => {
  const { apic, enable, fixed } = bench();
  enable();
  fixed(0x62);
  apic.face.acknowledge();
  for (const vector of [0x31, 0x91]) fixed(vector);
  const saved = structuredClone(apic.state);
  const other = bench();
  other.apic.restore(saved);
  expect([other.apic.face.inService(), other.apic.face.acknowledge()]).toEqual([0x62, 0x91]);
  for (const _ of [1, 2]) other.apic.store(LAPIC.eoi, 0);
  expect(other.apic.face.acknowledge()).toBe(0x31);
  other.apic.restore(structuredClone(bench().apic.state));
  expect([other.apic.face.inService(), other.apic.face.pending()]).toEqual([-1, -1]);
});

test('the task priority holds back its own class and all below, also through CR8', () => {
  const { apic, enable, fixed } = bench();
  enable();
  fixed(0x4f);
  apic.face.setCr8(4);
  expect(apic.face.pending()).toBe(-1);
  expect([apic.load(LAPIC.tpr), apic.load(LAPIC.ppr)]).toEqual([0x40, 0x40]);
  apic.store(LAPIC.tpr, 0x3f);
  expect([apic.face.pending(), apic.face.cr8()]).toEqual([0x4f, 3]);
});

test('only level-triggered interrupts are told to I/O APICs when they end', () => {
  const { apic, enable, fixed, ended } = bench();
  enable();
  fixed(0x50, true);
  apic.face.acknowledge();
  expect(apic.load(LAPIC.tmr + 0x20)).toBe(1 << 0x10);
  apic.store(LAPIC.eoi, 0);
  fixed(0x50, false);
  apic.face.acknowledge();
  apic.store(LAPIC.eoi, 0);
  expect(ended).toEqual([0x50]);
});

test('the one-shot timer fires once at the count times the divisor, and the count reads down', () => {
  const { apic, enable, bench: b } = bench();
  enable();
  apic.store(LAPIC.lvtTimer, 0x40);
  apic.store(LAPIC.divide, 0x3); // by 16
  apic.store(LAPIC.initial, 1000);
  b.pass(8000);
  expect(apic.load(LAPIC.current)).toBe(500);
  b.pass(7999);
  expect([apic.load(LAPIC.current), apic.face.pending()]).toEqual([1, -1]);
  b.pass(1);
  expect([apic.load(LAPIC.current), apic.face.acknowledge()]).toEqual([0, 0x40]);
  apic.store(LAPIC.eoi, 0);
  b.pass(1e6);
  expect(apic.face.pending()).toBe(-1);
});

test('the periodic timer fires each period, reloads, and stops with a count of zero', () => {
  const { apic, enable, bench: b } = bench();
  enable();
  apic.store(LAPIC.lvtTimer, 0x20041);
  apic.store(LAPIC.divide, 0xb); // by 1
  apic.store(LAPIC.initial, 4000);
  let fired = 0;
  for (let i = 0; i < 100; i++) {
    b.pass(1000);
    if (apic.face.acknowledge() >= 0) {
      fired++;
      apic.store(LAPIC.eoi, 0);
    }
  }
  expect(fired).toBe(25);
  b.pass(1000);
  expect(apic.load(LAPIC.current)).toBe(3000);
  apic.store(LAPIC.initial, 0);
  expect(apic.load(LAPIC.current)).toBe(0);
  b.pass(1e6);
  expect(apic.face.pending()).toBe(-1);
});

test('a period of one nanosecond neither hangs nor loses the timer', () => {
  const { apic, enable, bench: b } = bench();
  enable();
  apic.store(LAPIC.lvtTimer, 0x20041);
  apic.store(LAPIC.divide, 0xb);
  apic.store(LAPIC.initial, 1);
  b.pass(1e6);
  expect(apic.face.acknowledge()).toBe(0x41);
});

test('a changed divisor goes on from the present count', () => {
  const { apic, enable, bench: b } = bench();
  enable();
  apic.store(LAPIC.lvtTimer, 0x40);
  apic.store(LAPIC.divide, 0xb);
  apic.store(LAPIC.initial, 1000);
  b.pass(400);
  apic.store(LAPIC.divide, 0x0); // by 2
  expect(apic.load(LAPIC.current)).toBe(600);
  b.pass(1199);
  expect(apic.face.pending()).toBe(-1);
  b.pass(1);
  expect(apic.face.pending()).toBe(0x40);
});

test('TSC-deadline mode fires at the guest’s own TSC and disarms; other modes ignore the MSR', () => {
  const { apic, enable, bench: b, rdmsr } = bench({ tscOffset: 500 });
  enable();
  apic.face.wrmsr(0x6e0, 9999, 0);
  expect(rdmsr(0x6e0)).toEqual([0, 0]);
  apic.store(LAPIC.lvtTimer, 0x40042);
  apic.face.wrmsr(0x6e0, 2500, 0);
  apic.store(LAPIC.initial, 7); // Ignored in this mode.
  b.pass(1999);
  expect([apic.face.pending(), rdmsr(0x6e0)]).toEqual([-1, [2500, 0]]);
  b.pass(1);
  expect([apic.face.pending(), rdmsr(0x6e0)]).toEqual([0x42, [0, 0]]);
  apic.face.acknowledge();
  apic.store(LAPIC.eoi, 0);
  apic.face.wrmsr(0x6e0, 1, 0); // In the past: at once.
  b.pass(0);
  expect(apic.face.pending()).toBe(0x42);
});

test('what CPUID does not offer is not there', () => {
  const { apic, rdmsr } = bench({ x2apic: false, tscDeadline: false });
  expect(rdmsr(0x6e0)).toBeNull();
  expect(apic.face.wrmsr(0x6e0, 1, 0)).toBe(false);
  expect(apic.face.wrmsr(0x1b, 0xfee00d00, 0)).toBe(false);
});

test('software disabling masks every LVT and keeps them masked', () => {
  const { apic, enable } = bench();
  enable();
  apic.store(LAPIC.lvtTimer, 0x40);
  apic.store(LAPIC.svr, 0xff);
  expect(apic.load(LAPIC.lvtTimer)).toBe(0x10040);
  apic.store(LAPIC.lvtTimer, 0x41);
  expect(apic.load(LAPIC.lvtTimer)).toBe(0x10041);
});

test('LINT0 as ExtINT hands the 8259 through; as fixed it is an interrupt; LINT1 is an NMI', () => {
  const { apic, events } = bench();
  apic.face.enterVirtualWire();
  apic.face.setLint(0, true);
  expect([apic.face.extInt(), apic.face.pending()]).toEqual([true, -1]);
  apic.face.setLint(0, false);
  expect(apic.face.extInt()).toBe(false);
  apic.store(LAPIC.lvtLint0, 0x55);
  apic.face.setLint(0, true);
  expect([apic.face.extInt(), apic.face.pending()]).toEqual([false, 0x55]);
  apic.face.setLint(1, true);
  expect(events).toEqual(['nmi']);
  expect([apic.face.deliversNmi(0), apic.face.deliversNmi(1)]).toEqual([false, true]);
});

test('a level-triggered LINT0 is sent again at its end while it is up', () => {
  const { apic, enable } = bench();
  enable();
  apic.store(LAPIC.lvtLint0, 0x8055);
  apic.face.setLint(0, true);
  expect(apic.face.acknowledge()).toBe(0x55);
  expect(apic.load(LAPIC.lvtLint0)).toBe(0xc055);
  apic.store(LAPIC.eoi, 0);
  expect(apic.face.acknowledge()).toBe(0x55);
  apic.face.setLint(0, false);
  apic.store(LAPIC.eoi, 0);
  expect([apic.face.pending(), apic.load(LAPIC.lvtLint0)]).toEqual([-1, 0x8055]);
});

test('the ICR reaches self, all, a physical and a logical destination, and NMI', () => {
  const { apic, enable, events } = bench();
  enable();
  apic.store(LAPIC.icrLow, 0x40061); // self
  expect(apic.face.acknowledge()).toBe(0x61);
  apic.store(LAPIC.icrLow, 0x80071); // all
  expect(apic.face.acknowledge()).toBe(0x71);
  apic.store(LAPIC.icrLow, 0xc0081); // all but self
  expect(apic.face.pending()).toBe(-1);
  apic.store(LAPIC.icrHigh, 0);
  apic.store(LAPIC.icrLow, 0x00082); // physical 0
  expect(apic.face.acknowledge()).toBe(0x82);
  apic.store(LAPIC.icrHigh, 5 << 24);
  apic.store(LAPIC.icrLow, 0x00092); // nobody
  expect(apic.face.pending()).toBe(-1);
  apic.store(LAPIC.ldr, 0x04000000);
  apic.store(LAPIC.icrHigh, 0x06000000);
  apic.store(LAPIC.icrLow, 0x00893); // logical, flat
  expect(apic.face.acknowledge()).toBe(0x93);
  apic.store(LAPIC.dfr, 0x0fffffff); // cluster 0, member 2
  apic.store(LAPIC.icrLow, 0x008a4);
  expect(apic.face.acknowledge()).toBe(0xa4);
  apic.store(LAPIC.icrLow, 0x80400);
  expect(events).toEqual(['nmi']);
});

test('INIT goes to the model, its de-assert and start-up messages to nobody', () => {
  const { apic, enable, events } = bench();
  enable();
  apic.store(LAPIC.icrHigh, 0);
  apic.store(LAPIC.icrLow, 0x8500);
  apic.store(LAPIC.icrLow, 0x0608);
  expect(events).toEqual([]);
  apic.store(LAPIC.icrLow, 0xc500);
  expect(events).toEqual(['init']);
});

test('illegal vectors and registers are shown in the ESR after a write to it, with an interrupt', () => {
  const { apic, enable } = bench();
  enable();
  apic.store(LAPIC.lvtError, 0xfe);
  apic.store(LAPIC.icrLow, 0x40005);
  expect(apic.face.acknowledge()).toBe(0xfe);
  expect(apic.load(LAPIC.esr)).toBe(0);
  apic.store(LAPIC.esr, 0);
  expect(apic.load(LAPIC.esr)).toBe(0x20);
  apic.load(0x40);
  apic.store(LAPIC.esr, 0);
  expect(apic.load(LAPIC.esr)).toBe(0x80);
  apic.store(LAPIC.esr, 0);
  expect(apic.load(LAPIC.esr)).toBe(0);
});

test('x2APIC registers are MSRs with a 32-bit ID, a derived LDR and a 64-bit ICR', () => {
  const { apic, rdmsr, events, enable } = bench();
  enable();
  expect(rdmsr(0x802)).toBeNull();
  expect(apic.face.wrmsr(0x1b, 0xfee00d00, 0)).toBe(true);
  expect(events).toEqual(['gone from fee00000']);
  expect([rdmsr(0x802), rdmsr(0x803), rdmsr(0x80d)]).toEqual([
    [0, 0],
    [0x50014, 0],
    [1, 0],
  ]);
  expect(apic.face.wrmsr(0x830, 0x000a5, 0)).toBe(true); // physical 0
  expect(apic.face.acknowledge()).toBe(0xa5);
  expect(apic.face.wrmsr(0x80b, 0, 0)).toBe(true);
  expect(apic.face.wrmsr(0x83f, 0x77, 0)).toBe(true);
  expect(apic.face.pending()).toBe(0x77);
  expect(rdmsr(0x830)).toEqual([0xa5, 0]);
});

test('in x2APIC mode reserved bits, read-only and missing registers fault', () => {
  const { apic, rdmsr } = bench();
  apic.face.wrmsr(0x1b, 0xfee00d00, 0);
  for (const [index, lo, hi] of [
    [0x802, 0, 0],
    [0x808, 0x100, 0],
    [0x80b, 1, 0],
    [0x80e, 0, 0],
    [0x80f, 0x1000, 0],
    [0x80f, 0x1ff, 1],
    [0x828, 1, 0],
    [0x831, 0, 0],
    [0x832, 0x80000, 0],
    [0x8ff, 0, 0],
  ] as const) {
    expect(apic.face.wrmsr(index, lo, hi), `0x${index.toString(16)}`).toBe(false);
  }
  for (const index of [0x80b, 0x80e, 0x809, 0x831, 0x83f, 0x8ff]) {
    expect(rdmsr(index), `0x${index.toString(16)}`).toBeNull();
  }
});

test('IA32_APIC_BASE moves the page, and refuses the transitions the manual forbids', () => {
  const { apic, events, fixed, enable, rdmsr } = bench();
  enable();
  expect(apic.face.wrmsr(0x1b, 0xfed00900, 0)).toBe(true);
  expect(apic.face.wrmsr(0x1b, 0xfee00500, 0)).toBe(false); // EXTD without EN
  expect(apic.face.wrmsr(0x1b, 0xfee00901, 0)).toBe(false); // reserved
  expect(apic.face.wrmsr(0x1b, 0xfee00d00, 0)).toBe(true);
  expect(apic.face.wrmsr(0x1b, 0xfee00900, 0)).toBe(false); // x2APIC to xAPIC
  expect(apic.face.wrmsr(0x1b, 0xfee00100, 0)).toBe(true);
  expect([apic.face.enabled(), fixed(0x40)]).toEqual([false, false]);
  expect(apic.face.wrmsr(0x1b, 0xfee00d00, 0)).toBe(false); // disabled to x2APIC
  expect(apic.face.wrmsr(0x1b, 0xfee00900, 0)).toBe(true);
  expect(apic.load(LAPIC.svr)).toBe(0xff); // Disabling reset it.
  expect(events).toEqual([
    'at fed00000',
    'gone from fee00000',
    'gone from fee00000',
    'at fee00000',
  ]);
  expect(rdmsr(0x1b)).toEqual([0xfee00900, 0]);
});
