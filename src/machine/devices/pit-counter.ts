// One counter of the 8254: six modes, counted in ticks of its input clock without ever being ticked.

import { NEVER } from '../clock.ts';

/** Intel 8254 datasheet (231164-005). `base` counted from `start` tells the counting element's value at any tick. */
export interface PitCounter {
  mode: number;
  /** 1 low byte, 2 high byte, 3 low then high. */
  access: number;
  bcd: boolean;
  gate: boolean;
  /** The count register; 0 before a count is written. */
  reload: number;
  /** First byte of a two-byte write; -1: none. */
  lowByte: number;
  /** A count was written and is not in the counting element yet (status bit 6). */
  fresh: boolean;
  /** Count last loaded, 0 before the first load; and the tick at which it was in the counting element. */
  base: number;
  start: number;
  /** Count to load at `nextStart`, entering its period at `nextPhase`; 0: none. */
  nextBase: number;
  nextStart: number;
  nextPhase: number;
  /** Clocks counted when the gate stopped the counter; -1 while it counts. */
  held: number;
  latched: number;
  latchedStatus: number;
  readHigh: boolean;
}

export function pitCounter(mode: number, gate: boolean): PitCounter {
  return {
    mode,
    access: 3,
    bcd: false,
    gate,
    reload: 0,
    lowByte: -1,
    fresh: true,
    base: 0,
    start: 0,
    nextBase: 0,
    nextStart: NEVER,
    nextPhase: 0,
    held: -1,
    latched: -1,
    latchedStatus: -1,
    readHigh: false,
  };
}

/** Datasheet, "Control Word Format": M2 is "don't care" in modes 2 and 3. Counting stops until a count is written. */
export function writeControl(c: PitCounter, control: number): void {
  const mode = (control >> 1) & 7;
  c.mode = mode > 5 ? mode - 4 : mode;
  c.access = (control >> 4) & 3;
  c.bcd = (control & 1) !== 0;
  c.reload = 0;
  c.lowByte = -1;
  c.fresh = true;
  c.base = 0;
  c.nextBase = 0;
  c.nextStart = NEVER;
  c.held = -1;
  c.latched = -1;
  c.latchedStatus = -1;
  c.readHigh = false;
}

/** Lets a pending load happen whose tick has come. Every other function expects a settled counter. */
export function settle(c: PitCounter, tick: number): void {
  if (c.nextBase === 0 || tick < c.nextStart) return;
  c.base = c.nextBase;
  c.start = c.nextStart - c.nextPhase;
  c.nextBase = 0;
  c.nextStart = NEVER;
  c.fresh = false;
  // The gate does not stop a load, only counting; in modes 1 and 5 it starts the counter and does not stop it.
  c.held = c.gate || c.mode === 1 || c.mode === 5 ? -1 : 0;
}

/** A byte to the counter's port. */
export function writeCountByte(c: PitCounter, byte: number, tick: number): void {
  settle(c, tick);
  if (c.access !== 3) {
    writeCount(c, c.access === 1 ? byte : byte << 8, tick);
    return;
  }
  if (c.lowByte < 0) {
    c.lowByte = byte;
    // Mode 0: "Writing the first byte disables counting. OUT is set low immediately."
    if (c.mode === 0) {
      c.base = 0;
      c.nextBase = 0;
      c.nextStart = NEVER;
    }
    return;
  }
  const count = c.lowByte | (byte << 8);
  c.lowByte = -1;
  writeCount(c, count, tick);
}

function writeCount(c: PitCounter, raw: number, tick: number): void {
  const count = c.bcd ? fromBcd(raw) : raw;
  c.reload = count === 0 ? modulus(c) : count;
  c.fresh = true;
  if (c.mode === 1 || c.mode === 5) return; // Loaded by the next trigger.
  if (c.mode === 0 && c.access !== 3) c.base = 0; // OUT goes low with the write in mode 0.
  if (c.mode === 0 || c.mode === 4 || c.base === 0) {
    load(c, tick + 1, 0);
    return;
  }
  if (c.held >= 0) return; // Modes 2 and 3 with the gate low: loaded when it rises.
  const into = (tick - c.start) % c.base;
  const period = tick - into;
  if (c.mode === 3 && into < highClocks(c.base)) {
    load(c, period + highClocks(c.base), highClocks(c.reload)); // At the end of the half cycle; the low half follows.
    return;
  }
  load(c, period + c.base, 0);
}

function load(c: PitCounter, tick: number, phase: number): void {
  c.nextBase = c.reload;
  c.nextStart = tick;
  c.nextPhase = phase;
}

/** Datasheet, "Gate Pin Operations Summary". */
export function setGate(c: PitCounter, gate: boolean, tick: number): void {
  if (gate === c.gate) return;
  settle(c, tick);
  c.gate = gate;
  const oneShot = c.mode === 1 || c.mode === 5;
  if (!gate) {
    if (!oneShot && c.base !== 0 && c.held < 0) c.held = tick - c.start;
    if (c.mode === 2 || c.mode === 3) {
      c.nextBase = 0; // What was to be loaded at the end of the period waits for the gate.
      c.nextStart = NEVER;
    }
    return;
  }
  if (oneShot || c.mode === 2 || c.mode === 3) {
    if (c.reload !== 0) load(c, tick + 1, 0);
    return;
  }
  if (c.held >= 0) {
    c.start = tick - c.held;
    c.held = -1;
  }
}

/** The level of OUT (datasheet, "Mode Definitions"). A count of 1 is illegal in modes 2 and 3: OUT stays high. */
export function output(c: PitCounter, tick: number): boolean {
  if (c.base === 0) return c.mode !== 0;
  const elapsed = c.held >= 0 ? c.held : tick - c.start;
  switch (c.mode) {
    case 0:
      return elapsed >= c.base;
    case 1:
      return elapsed >= c.base;
    case 2:
      return c.held >= 0 || c.base === 1 || elapsed % c.base !== c.base - 1;
    case 3:
      return c.held >= 0 || elapsed % c.base < highClocks(c.base);
    default:
      return elapsed !== c.base;
  }
}

/**
 * The counting element as the bus sees it: 16 bits, in BCD if so programmed.
 * Deviates: a count of modes 0 and 4 that waits for its clock pulse reads as if loaded. A port access takes no time here,
 * where it takes a clock on an ISA bus: Linux's quick_pit_calibrate reads at once, and gives up if it finds the old count.
 */
export function currentCount(c: PitCounter, tick: number): number {
  if (c.nextBase !== 0 && tick < c.nextStart && (c.mode === 0 || c.mode === 4))
    return shownCount(c, c.nextBase);
  if (c.base === 0) return 0;
  const elapsed = c.held >= 0 ? c.held : tick - c.start;
  return shownCount(c, c.mode === 2 || c.mode === 3 ? periodicCount(c, elapsed) : c.base - elapsed);
}

function shownCount(c: PitCounter, count: number): number {
  const wrap = modulus(c);
  const shown = ((count % wrap) + wrap) % wrap;
  return c.bcd ? toBcd(shown) : shown;
}

function periodicCount(c: PitCounter, elapsed: number): number {
  const into = elapsed % c.base;
  if (c.mode === 2) return c.base - into;
  // Mode 3 counts by twos in each half; an odd count is loaded as the even number below it.
  const high = highClocks(c.base);
  return c.base - (c.base % 2) - 2 * (into < high ? into : into - high);
}

/** The status byte of the read-back command. */
export function statusByte(c: PitCounter, tick: number): number {
  return (
    (output(c, tick) ? 0x80 : 0) |
    (c.fresh ? 0x40 : 0) |
    (c.access << 4) |
    (c.mode << 1) |
    (c.bcd ? 1 : 0)
  );
}

/** The first tick after `tick` at which OUT may rise or a load happens; NEVER if neither is to come. */
export function nextChange(c: PitCounter, tick: number): number {
  return Math.min(nextRise(c, tick), c.nextBase === 0 ? NEVER : c.nextStart);
}

function nextRise(c: PitCounter, tick: number): number {
  if (c.base === 0 || c.held >= 0) return NEVER;
  const elapsed = tick - c.start;
  if (c.mode === 2 || c.mode === 3) {
    return c.base === 1 ? NEVER : tick - (elapsed % c.base) + c.base;
  }
  const length = c.mode >= 4 ? c.base + 1 : c.base;
  return elapsed < length ? c.start + length : NEVER;
}

/** Clocks for which OUT is high in mode 3: half, the larger half of an odd count. */
function highClocks(base: number): number {
  return (base + (base % 2)) / 2;
}

function modulus(c: PitCounter): number {
  return c.bcd ? 10000 : 65536;
}

function fromBcd(raw: number): number {
  return (raw >> 12) * 1000 + ((raw >> 8) & 15) * 100 + ((raw >> 4) & 15) * 10 + (raw & 15);
}

function toBcd(count: number): number {
  return (
    (Math.floor(count / 1000) << 12) |
    ((Math.floor(count / 100) % 10) << 8) |
    ((Math.floor(count / 10) % 10) << 4) |
    (count % 10)
  );
}
