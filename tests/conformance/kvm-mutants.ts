// Ways to break what KVM has beside hardware: its leaf, its clock, its calls.

import { atBorder, beneath, inLeaf, inMsr, type Mutant } from './mutant.ts';

const SIGNATURE = 0x40000000;
const [SYSTEM_TIME, WALL_CLOCK] = [0x4b564d01, 0x4b564d00];
const [RAX, RBP] = [0, 5];

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
  inLeaf('the signature is another one', SIGNATURE, (out) => {
    out[1] = 0x12345678;
  }),
  inMsr('the system time MSR is lost', SYSTEM_TIME, 'lost'),
  inMsr('the system time MSR is refused', SYSTEM_TIME, 'refused'),
  inMsr('the clock is written to the next place', SYSTEM_TIME, 64),
  inMsr('the wall clock MSR is lost', WALL_CLOCK, 'lost'),
  inMsr('the wall clock MSR is refused', WALL_CLOCK, 'refused'),
  call('every call succeeds', ({ cpu }) => cpu.state.setGpr(RAX, 0n)),
  call('unknown calls have another error', ({ cpu }) =>
    cpu.state.setGpr(RAX, BigInt.asUintN(64, -38n)),
  ),
  call('calls lose a register', ({ cpu }) => cpu.state.setGpr(RBP, 0n)),
  atBorder('calls are unknown instructions', () => ({ hypercall: () => false })),
  beneath('the date is lost', (platform) => ({ ...platform, epochSeconds: 0 })),
];
