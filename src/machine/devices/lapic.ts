// Local APIC: xAPIC registers in memory, x2APIC registers as MSRs, priorities, timer, local lines, IPIs.

import type { Clock } from '../clock.ts';
import { defineDevice } from '../device.ts';
import { type ApicBus, type ApicTarget, DELIVERY, SHORTHAND } from './apic-bus.ts';
import { type LapicTimerState, lapicTimer, lapicTimerState } from './lapic-timer.ts';
import { VectorSet } from './lapic-vectors.ts';

/** Register offsets of the xAPIC page (SDM 3A table 11-1). */
export const LAPIC = {
  id: 0x20,
  version: 0x30,
  tpr: 0x80,
  apr: 0x90,
  ppr: 0xa0,
  eoi: 0xb0,
  rrd: 0xc0,
  ldr: 0xd0,
  dfr: 0xe0,
  svr: 0xf0,
  isr: 0x100,
  tmr: 0x180,
  irr: 0x200,
  esr: 0x280,
  icrLow: 0x300,
  icrHigh: 0x310,
  lvtTimer: 0x320,
  lvtThermal: 0x330,
  lvtPerf: 0x340,
  lvtLint0: 0x350,
  lvtLint1: 0x360,
  lvtError: 0x370,
  initial: 0x380,
  current: 0x390,
  divide: 0x3e0,
  selfIpi: 0x3f0,
} as const;

/** Version 0x14 with six LVT entries (SDM 3A 11.4.8). */
const VERSION = 0x50014;
const LVT = { timer: 0, thermal: 1, perf: 2, lint0: 3, lint1: 4, error: 5 } as const;
const MASKED = 0x10000;
const LVT_LEVEL = 0x8000;
const LVT_ACTIVE_LOW = 0x2000;
const LVT_REMOTE_IRR = 0x4000;
/** Writable bits of each LVT entry (SDM 3A figure 11-8). */
const LVT_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff] as const;
const SVR_ENABLED = 0x100;
const SVR_WRITABLE = 0x3ff;
const ESR = { sendIllegal: 0x20, receiveIllegal: 0x40, illegalRegister: 0x80 } as const;

const MSR = { base: 0x1b, deadline: 0x6e0, first: 0x800, last: 0x8ff } as const;
const BASE = { bsp: 0x100, x2apic: 0x400, enabled: 0x800 } as const;
/** The page at which the APIC answers after a reset. */
export const LAPIC_BASE = 0xfee00000;

export interface LapicState {
  baseLo: number;
  baseHi: number;
  tpr: number;
  ldr: number;
  dfr: number;
  svr: number;
  esr: number;
  errors: number;
  icrLow: number;
  icrHigh: number;
  lvt: Uint32Array;
  irr: Uint32Array;
  isr: Uint32Array;
  tmr: Uint32Array;
  /** Electrical levels of LINT0 and LINT1. */
  lint: boolean[];
  timer: LapicTimerState;
}

export interface LapicNeeds {
  readonly id: number;
  readonly clock: Clock;
  readonly bus: ApicBus;
  /** What CPUID offers. */
  readonly x2apic: boolean;
  readonly tscDeadline: boolean;
  tscOffset(): number;
  /** The interrupt line may have to change. */
  changed(): void;
  nmi(): void;
  /** INIT for this processor. */
  init(): void;
  /** The register page moves, or goes. */
  moved(base: number, mapped: boolean): void;
}

export interface LapicFace extends ApicTarget {
  /** Enabled in IA32_APIC_BASE; if not, the 8259 drives INTR alone. */
  enabled(): boolean;
  /** The vector to deliver next, -1 if none beats the processor priority. */
  pending(): number;
  /** LINT0 is an unmasked ExtINT input and asserted: the 8259 has the vector. */
  extInt(): boolean;
  /** Whether a local input is unmasked and delivers NMIs. */
  deliversNmi(input: 0 | 1): boolean;
  /** Moves the pending vector into service. */
  acknowledge(): number;
  endOfInterrupt(): void;
  /** Highest vector in service, -1 if none (paravirtual EOI looks here). */
  inService(): number;
  setLint(input: 0 | 1, level: boolean): void;
  /** The timer's local vector entry fires, for an interface whose alarms come by it. */
  fireTimer(): void;
  /** CR8 is TPR bits 7:4 (SDM 3A 11.8.6). */
  cr8(): number;
  setCr8(value: number): void;
  /** MSRs 0x1b, 0x6e0, 0x800..0x8ff; false means #GP(0). */
  ownsMsr(index: number): boolean;
  rdmsr(index: number, out: Uint32Array): boolean;
  wrmsr(index: number, lo: number, hi: number): boolean;
  /** As firmware hands over the boot processor: virtual wire, LINT0 ExtINT, LINT1 NMI (MP 1.4 3.6.2.2). */
  enterVirtualWire(): void;
}

export const lapic = defineDevice({
  name: 'lapic',
  ref: 'SDM 3A 11',
  claims: { mmio: [[LAPIC_BASE, 0x1000]] },
  state: (): LapicState => ({
    baseLo: (LAPIC_BASE | BASE.enabled | BASE.bsp) >>> 0,
    baseHi: 0,
    ...resetRegisters(),
    irr: new Uint32Array(8),
    isr: new Uint32Array(8),
    tmr: new Uint32Array(8),
    lvt: new Uint32Array(6).fill(MASKED),
    lint: [false, false],
    timer: lapicTimerState(),
  }),
  plug(given: { state: LapicState } & LapicNeeds) {
    const { state, id, bus, changed } = given;
    const requested = new VectorSet(state.irr);
    const service = new VectorSet(state.isr);
    const levels = new VectorSet(state.tmr);
    const enabled = () => (state.baseLo & BASE.enabled) !== 0;
    const softwareEnabled = () => enabled() && (state.svr & SVR_ENABLED) !== 0;
    const x2apic = () => (state.baseLo & BASE.x2apic) !== 0;
    const timer = lapicTimer(state.timer, given.clock, `lapic${id}.timer`, given.tscOffset, () =>
      local(LVT.timer),
    );
    /** The processor priority (SDM 3A 11.8.3.1). */
    const ppr = () => {
      const { highest } = service;
      return highest < 0 || state.tpr >> 4 >= highest >> 4 ? state.tpr : highest & 0xf0;
    };
    const pending = () => {
      const vector = requested.highest;
      return vector >= 0 && enabled() && vector >> 4 > ppr() >> 4 ? vector : -1;
    };
    const error = (bit: number) => {
      const fresh = (state.errors & bit) === 0;
      state.errors |= bit;
      if (fresh && (state.lvt[LVT.error]! & MASKED) === 0) {
        const vector = state.lvt[LVT.error]! & 0xff;
        if (vector >= 16) enqueue(vector, false);
      }
    };
    const enqueue = (vector: number, level: boolean) => {
      requested.add(vector);
      if (level) levels.add(vector);
      else levels.remove(vector);
      changed();
    };
    const accept = (mode: number, vector: number, level: boolean): boolean => {
      if (!enabled()) return false;
      if (mode === DELIVERY.nmi) given.nmi();
      else if (mode === DELIVERY.init) given.init();
      else if (mode === DELIVERY.fixed || mode === DELIVERY.lowest) {
        if (!softwareEnabled()) return false;
        if (vector < 16) error(ESR.receiveIllegal);
        else enqueue(vector, level);
      } else return false; // SMI: there is no SMM here. Start-up: ignored outside wait-for-SIPI. ExtINT: a line.
      return true;
    };
    /** A local interrupt source fires. */
    const local = (entry: number) => {
      const lvt = state.lvt[entry]!;
      if ((lvt & MASKED) !== 0) return;
      // Timer and error entries have no delivery mode: always fixed.
      const mode = entry === LVT.timer || entry === LVT.error ? DELIVERY.fixed : (lvt >> 8) & 7;
      const level = (entry === LVT.lint0 || entry === LVT.lint1) && isLevelLvt(lvt);
      if (level && (lvt & LVT_REMOTE_IRR) !== 0) return;
      if (accept(mode, lvt & 0xff, level) && level) state.lvt[entry] = lvt | LVT_REMOTE_IRR;
    };
    const lintAsserted = (input: number) =>
      state.lint[input]! !== ((state.lvt[LVT.lint0 + input]! & LVT_ACTIVE_LOW) !== 0);
    const setLint = (input: 0 | 1, level: boolean) => {
      if (state.lint[input] === level) return;
      state.lint[input] = level;
      if (enabled() && lintAsserted(input)) local(LVT.lint0 + input);
      changed();
    };
    const endOfInterrupt = () => {
      const vector = service.highest;
      if (vector < 0) return;
      service.remove(vector);
      if (levels.has(vector)) {
        for (let entry = LVT.lint0; entry <= LVT.lint1; entry++) {
          const lvt = state.lvt[entry]!;
          if ((lvt & LVT_REMOTE_IRR) === 0 || (lvt & 0xff) !== vector) continue;
          state.lvt[entry] = lvt & ~LVT_REMOTE_IRR;
          if (lintAsserted(entry - LVT.lint0)) local(entry);
        }
        bus.endOfInterrupt(vector);
      }
      changed();
    };
    const sendIpi = (lo: number, hi: number) => {
      const vector = lo & 0xff;
      const mode = (lo >> 8) & 7;
      // INIT level de-assert synchronised arbitration on old processors; it does nothing since (SDM 3A 11.6.1).
      if (mode === DELIVERY.init && (lo & 0xc000) === 0x8000) return;
      if (mode === 3 || mode === DELIVERY.extInt) return; // Reserved in the ICR.
      if (mode <= DELIVERY.lowest && vector < 16) {
        error(ESR.sendIllegal);
        return;
      }
      const shorthand = (lo >> 18) & 3;
      if (shorthand === SHORTHAND.self) {
        if (mode <= DELIVERY.lowest) face.accept(DELIVERY.fixed, vector, false);
      } else if (shorthand !== SHORTHAND.none) {
        bus.broadcast(face, shorthand === SHORTHAND.all, mode, vector);
      } else {
        const destination = x2apic() ? hi >>> 0 : hi >>> 24;
        bus.deliver(destination, (lo & 0x800) !== 0, mode, vector, false);
      }
    };
    const matches = (destination: number, logical: boolean) => {
      if (!logical) return destination === id || destination === 0xff || destination === 0xffffffff;
      if (x2apic()) {
        const ldr = x2apicLdr(id);
        return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
      }
      const own = state.ldr >>> 24;
      if (state.dfr >>> 28 === 0xf) return (destination & own) !== 0;
      const cluster = (destination >> 4) & 0xf;
      return (cluster === own >> 4 || cluster === 0xf) && (destination & own & 0xf) !== 0;
    };

    const read = (offset: number): number => {
      if (offset >= LAPIC.isr && offset < LAPIC.esr && (offset & 0xf) === 0) {
        const set = offset < LAPIC.tmr ? state.isr : offset < LAPIC.irr ? state.tmr : state.irr;
        return set[(offset >> 4) & 7]!;
      }
      if (offset >= LAPIC.lvtTimer && offset <= LAPIC.lvtError && (offset & 0xf) === 0) {
        return state.lvt[(offset - LAPIC.lvtTimer) >> 4]!;
      }
      switch (offset) {
        case LAPIC.id:
          return x2apic() ? id : id << 24;
        case LAPIC.version:
          return VERSION;
        case LAPIC.tpr:
          return state.tpr;
        case LAPIC.apr:
        case LAPIC.ppr:
          return ppr();
        case LAPIC.ldr:
          return x2apic() ? x2apicLdr(id) : state.ldr;
        case LAPIC.dfr:
          return state.dfr;
        case LAPIC.svr:
          return state.svr;
        case LAPIC.esr:
          return state.esr;
        case LAPIC.icrLow:
          return state.icrLow;
        case LAPIC.icrHigh:
          return state.icrHigh;
        case LAPIC.initial:
          return state.timer.initial;
        case LAPIC.current:
          return timer.current();
        case LAPIC.divide:
          return state.timer.divide;
        case LAPIC.eoi:
        case LAPIC.rrd:
          return 0;
        default:
          if ((offset & 0xf) === 0) error(ESR.illegalRegister);
          return 0;
      }
    };
    const writeLvt = (entry: number, value: number) => {
      let kept = (value & LVT_WRITABLE[entry]!) | (state.lvt[entry]! & LVT_REMOTE_IRR);
      if ((state.svr & SVR_ENABLED) === 0) kept |= MASKED; // SDM 3A 11.4.7.2.
      if (entry === LVT.timer) {
        const mode = (kept >> 17) & 3;
        if (mode === 3 || (mode === 2 && !given.tscDeadline)) kept &= ~0x60000;
        timer.setMode((kept >> 17) & 3);
      }
      const wasMasked = (state.lvt[entry]! & MASKED) !== 0;
      if (!isLevelLvt(kept)) kept &= ~LVT_REMOTE_IRR;
      state.lvt[entry] = kept;
      // A level that is up when the input is unmasked counts; an edge that came before does not.
      const lint = entry === LVT.lint0 || entry === LVT.lint1;
      if (lint && wasMasked && isLevelLvt(kept) && lintAsserted(entry - LVT.lint0)) local(entry);
      changed();
    };
    const write = (offset: number, value: number): void => {
      if (offset >= LAPIC.lvtTimer && offset <= LAPIC.lvtError && (offset & 0xf) === 0) {
        writeLvt((offset - LAPIC.lvtTimer) >> 4, value);
        return;
      }
      switch (offset) {
        case LAPIC.tpr:
          state.tpr = value & 0xff;
          changed();
          return;
        case LAPIC.eoi:
          endOfInterrupt();
          return;
        case LAPIC.ldr:
          state.ldr = (value & 0xff000000) >>> 0;
          return;
        case LAPIC.dfr:
          state.dfr = (value | 0x0fffffff) >>> 0;
          return;
        case LAPIC.svr:
          state.svr = value & SVR_WRITABLE;
          if ((value & SVR_ENABLED) === 0) {
            for (let i = 0; i < state.lvt.length; i++) state.lvt[i] = state.lvt[i]! | MASKED;
          }
          changed();
          return;
        case LAPIC.esr: // A write updates the register from the errors since the last one (SDM 3A 11.5.3).
          state.esr = state.errors;
          state.errors = 0;
          return;
        case LAPIC.icrLow:
          state.icrLow = (value & 0xccfff) >>> 0; // Without the delivery status: messages arrive at once.
          sendIpi(state.icrLow, state.icrHigh);
          return;
        case LAPIC.icrHigh:
          state.icrHigh = (value & 0xff000000) >>> 0;
          return;
        case LAPIC.initial:
          timer.setInitial(value >>> 0);
          return;
        case LAPIC.divide:
          timer.setDivide(value);
          return;
        case LAPIC.id: // Read-only since the xAPIC of Nehalem; the version and status registers always.
        case LAPIC.version:
        case LAPIC.apr:
        case LAPIC.ppr:
        case LAPIC.current:
          return;
        default:
          if ((offset & 0xf) === 0 && !(offset >= LAPIC.isr && offset < LAPIC.esr)) {
            error(ESR.illegalRegister);
          }
      }
    };

    /** The page answers in xAPIC mode only. */
    const placeWindow = () =>
      given.moved(
        state.baseHi * 2 ** 32 + ((state.baseLo & 0xfffff000) >>> 0),
        enabled() && !x2apic(),
      );
    const setBase = (lo: number, hi: number): boolean => {
      const from = state.baseLo & (BASE.enabled | BASE.x2apic);
      const to = lo & (BASE.enabled | BASE.x2apic);
      if ((lo & 0x2ff) !== 0 || hi >>> 20 !== 0) return false; // Reserved bits.
      // SDM 3A figure 11-27: what may follow what. x2APIC is entered from xAPIC and left by disabling only.
      if (to === BASE.x2apic || (to !== 0 && (to & BASE.x2apic) !== 0 && !given.x2apic))
        return false;
      if (from === 0 && to === (BASE.enabled | BASE.x2apic)) return false;
      if ((from & BASE.x2apic) !== 0 && to === BASE.enabled) return false;
      state.baseLo = lo >>> 0;
      state.baseHi = hi >>> 0;
      if (from !== 0 && to === 0) resetAll();
      if (from === BASE.enabled && (to & BASE.x2apic) !== 0) state.icrHigh = 0;
      placeWindow();
      changed();
      return true;
    };
    const resetAll = () => {
      Object.assign(state, resetRegisters());
      for (const set of [requested, service, levels]) set.clear();
      state.lvt.fill(MASKED);
      timer.reset();
    };

    const rdmsr = (index: number, out: Uint32Array): boolean => {
      out[1] = 0;
      if (index === MSR.base) {
        out[0] = state.baseLo | BASE.bsp;
        out[1] = state.baseHi;
        return true;
      }
      if (index === MSR.deadline) {
        if (!given.tscDeadline) return false;
        out[0] = state.timer.deadlineLo;
        out[1] = state.timer.deadlineHi;
        return true;
      }
      const offset = (index - MSR.first) << 4;
      if (!x2apic() || !readableInX2apic(offset)) return false;
      out[0] = read(offset);
      if (offset === LAPIC.icrLow) out[1] = state.icrHigh;
      return true;
    };
    const wrmsr = (index: number, lo: number, hi: number): boolean => {
      if (index === MSR.base) return setBase(lo, hi);
      if (index === MSR.deadline) {
        if (!given.tscDeadline) return false;
        timer.setDeadline(lo >>> 0, hi >>> 0);
        return true;
      }
      const offset = (index - MSR.first) << 4;
      if (!x2apic() || !writableInX2apic(offset, lo, hi)) return false;
      if (offset === LAPIC.icrLow) {
        state.icrLow = (lo & 0xccfff) >>> 0;
        state.icrHigh = hi >>> 0;
        sendIpi(state.icrLow, state.icrHigh);
      } else if (offset === LAPIC.selfIpi) {
        if ((lo & 0xff) < 16) error(ESR.sendIllegal | ESR.receiveIllegal);
        else face.accept(DELIVERY.fixed, lo & 0xff, false);
      } else write(offset, lo >>> 0);
      return true;
    };

    const face: LapicFace = {
      matches,
      accept,
      priority: ppr,
      enabled,
      pending,
      extInt() {
        const lvt = state.lvt[LVT.lint0]!;
        return (lvt & (MASKED | 0x700)) === 0x700 && lintAsserted(0);
      },
      deliversNmi: (input) =>
        (state.lvt[LVT.lint0 + input]! & (MASKED | 0x700)) === DELIVERY.nmi << 8,
      acknowledge() {
        const vector = pending();
        if (vector < 0) return -1;
        requested.remove(vector);
        service.add(vector);
        changed();
        return vector;
      },
      endOfInterrupt,
      inService: () => service.highest,
      setLint,
      fireTimer: () => local(LVT.timer),
      cr8: () => state.tpr >> 4,
      setCr8(value) {
        state.tpr = (value & 15) << 4;
        changed();
      },
      ownsMsr: (index) =>
        index === MSR.base || index === MSR.deadline || (index >= MSR.first && index <= MSR.last),
      rdmsr,
      wrmsr,
      enterVirtualWire() {
        state.svr = SVR_ENABLED | 0xff;
        state.lvt[LVT.lint0] = DELIVERY.extInt << 8;
        state.lvt[LVT.lint1] = DELIVERY.nmi << 8;
        changed();
      },
    };
    bus.attach(face);
    return {
      mmio: [
        {
          read,
          // Only whole aligned dwords are defined (SDM 3A 11.4.1).
          write(offset: number, value: number, bytes: number) {
            if (bytes === 4) write(offset, value);
          },
        },
      ],
      face,
      restored() {
        for (const set of [requested, service, levels]) set.changed();
        placeWindow();
      },
    };
  },
});

/** SDM 3A 11.4.7.1: state after power-up. */
function resetRegisters() {
  return {
    tpr: 0,
    ldr: 0,
    dfr: 0xffffffff,
    svr: 0xff,
    esr: 0,
    errors: 0,
    icrLow: 0,
    icrHigh: 0,
  };
}

function isLevelLvt(lvt: number): boolean {
  return (lvt & LVT_LEVEL) !== 0 && ((lvt >> 8) & 7) === DELIVERY.fixed;
}

/** The logical x2APIC ID: cluster in the high half, one bit of 16 in the low (SDM 3A 11.12.10.2). */
function x2apicLdr(id: number): number {
  return (((id >> 4) << 16) | (1 << (id & 15))) >>> 0;
}

/** SDM 3A table 11-6. */
function readableInX2apic(offset: number): boolean {
  if (offset >= LAPIC.isr && offset < LAPIC.esr) return true;
  if (offset >= LAPIC.lvtTimer && offset <= LAPIC.current) return true;
  switch (offset) {
    case LAPIC.id:
    case LAPIC.version:
    case LAPIC.tpr:
    case LAPIC.ppr:
    case LAPIC.ldr:
    case LAPIC.svr:
    case LAPIC.esr:
    case LAPIC.icrLow:
    case LAPIC.divide:
      return true;
    default:
      return false;
  }
}

/** SDM 3A table 11-6 and 11.12.1.3: reserved bits and read-only registers fault. */
function writableInX2apic(offset: number, lo: number, hi: number): boolean {
  if (offset === LAPIC.icrLow) return (lo & ~0xccfff) === 0;
  if (hi !== 0) return false;
  if (offset >= LAPIC.lvtTimer && offset <= LAPIC.lvtError) {
    const readOnly = 0x5000; // Delivery status and remote IRR are ignored.
    return (lo & ~(LVT_WRITABLE[(offset - LAPIC.lvtTimer) >> 4]! | readOnly)) === 0;
  }
  switch (offset) {
    case LAPIC.tpr:
    case LAPIC.selfIpi:
      return (lo & ~0xff) === 0;
    case LAPIC.eoi:
    case LAPIC.esr:
      return lo === 0;
    case LAPIC.svr:
      return (lo & ~SVR_WRITABLE) === 0;
    case LAPIC.initial:
      return true;
    case LAPIC.divide:
      return (lo & ~0x0b) === 0;
    default:
      return false;
  }
}
