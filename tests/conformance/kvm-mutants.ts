// Ways to break what KVM has beside hardware: its leaf, its clock, its calls.

import { atBorder, beneath, type Mutant } from './mutant.ts';

const SIGNATURE = 0x40000000;
const [SYSTEM_TIME, WALL_CLOCK] = [0x4b564d01, 0x4b564d00];
const [RAX, RBP] = [0, 5];

const leaf = (name: string, number: number, change: (out: Uint32Array) => void): Mutant =>
  atBorder(name, (border) => ({
    cpuid(asked, subleaf, out) {
      border.cpuid!(asked, subleaf, out);
      if (asked >>> 0 === number) change(out);
    },
  }));

const msr = (name: string, number: number, write: 'lost' | 'refused' | number): Mutant =>
  atBorder(name, (border) => ({
    wrmsr(index, lo, hi) {
      if (index >>> 0 !== number) return border.wrmsr!(index, lo, hi);
      if (typeof write === 'number') return border.wrmsr!(index, lo + write, hi);
      return write === 'lost';
    },
  }));

const call = (
  name: string,
  after: (state: Parameters<typeof beneath>[1] extends (p: infer P) => unknown ? P : never) => void,
): Mutant =>
  atBorder(name, (border, platform) => ({
    hypercall(by) {
      border.hypercall!(by);
      after(platform);
      return true;
    },
  }));

export const KVM_MUTANTS: readonly Mutant[] = [
  leaf('the signature is another one', SIGNATURE, (out) => {
    out[1] = 0x12345678;
  }),
  msr('the system time MSR is lost', SYSTEM_TIME, 'lost'),
  msr('the system time MSR is refused', SYSTEM_TIME, 'refused'),
  msr('the clock is written to the next place', SYSTEM_TIME, 64),
  msr('the wall clock MSR is lost', WALL_CLOCK, 'lost'),
  msr('the wall clock MSR is refused', WALL_CLOCK, 'refused'),
  call('every call succeeds', ({ cpu }) => cpu.state.setGpr(RAX, 0n)),
  call('unknown calls have another error', ({ cpu }) =>
    cpu.state.setGpr(RAX, BigInt.asUintN(64, -38n)),
  ),
  call('calls lose a register', ({ cpu }) => cpu.state.setGpr(RBP, 0n)),
  atBorder('calls are unknown instructions', () => ({ hypercall: () => false })),
  beneath('the date is lost', (platform) => ({ ...platform, epochSeconds: 0 })),
];
