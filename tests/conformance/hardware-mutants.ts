// Ways to break an interface whose guests have hardware beneath them: flushes, faults, leaves, MSRs, the local APIC, instructions.

import { POLICY_DESCRIPTORS, POLICY_DR, POLICY_HLT, POLICY_RDTSC } from '../../src/cpu/policy.ts';
import {
  atBorder,
  beneath,
  inFaults,
  inInstructions,
  inLeaf,
  inMmu,
  type Mutant,
} from './mutant.ts';

const [DE, DB, UD, NM, NP, GP, PF] = [0, 1, 6, 7, 11, 13, 14];
const LAPIC = 0xfee00000;
const [VERSION, TPR, EOI, SVR, LVTT, INITIAL] = [0x30, 0x80, 0xb0, 0xf0, 0x320, 0x380];
const FXSR = 1 << 24;
const PAGE = 4096;
const COM1 = 0x3f8;

/** A store to a register of the local APIC, with another value, or (null) not at all. */
const apicStore = (name: string, register: number, value: (lo: number) => number | null): Mutant =>
  atBorder(name, (border) => ({
    mmioWrite(gpa, bytes, lo, hi) {
      const changed = gpa === LAPIC + register ? value(lo) : lo;
      if (changed !== null) border.mmioWrite!(gpa, bytes, changed, hi);
    },
  }));

const error = (name: string, vector: number, change: (error: number) => number): Mutant =>
  inFaults(name, vector, (exit) => ({ vector, error: change(exit.error ?? 0) }));

const as = (name: string, vector: number, other: number, code: number | null): Mutant =>
  inFaults(name, vector, () => ({ vector: other, error: code }));

let turn = 0;

export const HARDWARE_MUTANTS: readonly Mutant[] = [
  inMmu('INVLPG does nothing', 'flushPage'),
  inMmu('INVLPG drops the next page', 'flushPage', (real) => (va) => real(va + PAGE)),
  inMmu('CR3 writes drop nothing', 'flushNonGlobal'),
  inMmu('a change of CR4.PGE drops nothing', 'flushAll'),
  error('#PF does not say that it was a write', PF, (code) => code & ~2),
  error('#PF says the opposite of present', PF, (code) => code ^ 1),
  error('#PF has no error bits', PF, () => 0),
  as('#PF comes as #GP', PF, GP, 0),
  inFaults(
    '#PF has an address of the next page',
    PF,
    ({ vector, error: code, address }, { cpu }) => {
      cpu.state.setVa('faultAddress', address + PAGE);
      return { vector, error: code };
    },
  ),
  as('#UD comes as #GP', UD, GP, 0),
  inFaults('#UD is stepped over', UD, () => 2),
  as('#DE comes as #UD', DE, UD, null),
  inFaults('#NM is stepped over', NM, () => 2),
  as('#NM comes as #UD', NM, UD, null),
  as('#NP comes as #GP', NP, GP, 0),
  error('#NP names the next selector', NP, (code) => code + 8),
  error('#GP has no error code to speak of', GP, () => 0),
  error('#GP names another selector', GP, (code) => code ^ 0x10),
  as('#GP comes as #UD', GP, UD, null),
  inFaults('#DB is lost', DB, () => 0),
  as('#DB comes as #UD', DB, UD, null),
  atBorder('every MSR can be read', (border) => ({
    rdmsr: (index, out) => border.rdmsr!(index, out) || true,
  })),
  atBorder('every MSR can be written', (border) => ({
    wrmsr: (index, lo, hi) => border.wrmsr!(index, lo, hi) || true,
  })),
  inLeaf('CPUID has no leaves', 0, (out) => out.fill(0)),
  inLeaf('CPUID leaves out FXSR', 1, (out) => {
    out[3]! &= ~FXSR;
  }),
  inLeaf('CPUID changes its mind', 1, (out) => {
    out[3]! ^= (turn++ & 1) << 30;
  }),
  atBorder('interrupts are lost on the way', (border) => ({
    acknowledgeInterrupt: () => Math.min(border.acknowledgeInterrupt!(), -1),
  })),
  atBorder('interrupts come by the next vector', (border) => ({
    acknowledgeInterrupt() {
      const vector = border.acknowledgeInterrupt!();
      return vector < 0 ? vector : vector + 1;
    },
  })),
  atBorder('each interrupt comes twice', (border, { interrupt }) => {
    let again = -1;
    return {
      acknowledgeInterrupt() {
        const vector = again >= 0 ? again : border.acknowledgeInterrupt!();
        interrupt.set(again < 0 && vector >= 0);
        again = again < 0 ? vector : -1;
        return vector;
      },
    };
  }),
  apicStore('EOI is lost', EOI, () => null),
  apicStore('the timer is never armed', INITIAL, () => null),
  apicStore('the timer is far too slow', INITIAL, (count) => count * 1000),
  apicStore('the timer goes on', LVTT, (lvt) => lvt | 0x20000),
  apicStore('the timer is masked', LVTT, (lvt) => lvt | 0x10000),
  apicStore('the timer has another vector', LVTT, (lvt) => lvt + 2),
  apicStore('the APIC goes off', SVR, () => 0xff),
  apicStore('the task priority is lost', TPR, () => null),
  atBorder('the APIC has no version', (border) => ({
    mmioRead(gpa, bytes, out) {
      border.mmioRead!(gpa, bytes, out);
      if (gpa === LAPIC + VERSION) out[0] = 0;
    },
  })),
  atBorder('the console is lost', (border) => ({
    ioWrite(port, bytes, value) {
      if (port !== COM1) border.ioWrite!(port, bytes, value);
    },
  })),
  inInstructions('RDTSC stands still', POLICY_RDTSC, ({ cpu: { state } }) => {
    state.setGpr32(0, 5);
    state.setGpr32(2, 0);
  }),
  inInstructions('RDTSC counts down', POLICY_RDTSC, ({ cpu }) => {
    cpu.state.setGpr32(0, -cpu.retired() >>> 0);
    cpu.state.setGpr32(2, 0);
  }),
  inInstructions('writes to debug registers are lost', POLICY_DR, () => {}),
  inInstructions('descriptor tables are never loaded', POLICY_DESCRIPTORS, () => {}),
  inInstructions('HLT does not wait', POLICY_HLT, () => {}),
  beneath('the guest is switched off at once', ({ power }) => {
    power.off('a mutant');
    return undefined;
  }),
];
