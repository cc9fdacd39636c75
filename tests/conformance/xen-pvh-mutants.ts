// Ways to break Xen PVH: its leaves, its page of calls, what they answer, the frames that they put somewhere, its clock.

import { POLICY_RDTSC } from '../../src/cpu/policy.ts';
import type { Platform } from '../../src/hypervisors/index.ts';
import * as abi from '../../src/hypervisors/xen/abi/hvm.ts';
import { vcpuTimeInfo } from '../../src/hypervisors/xen/abi/xen.ts';
import { PVH_CALL_LIST } from '../../src/hypervisors/xen-pvh/calls.ts';
import {
  atBorder,
  beneath,
  inInstructions,
  inLeaf,
  inMsr,
  type Mutant,
  setWordAt,
  wordAt,
} from './mutant.ts';

const [RAX, RSI, RBP] = [0, 6, 5];
const NO_CALL = 0x37;
const EINVAL = -22n;

type Change = (platform: Platform) => void;

const numberOf = (name: string): number => PVH_CALL_LIST.find((one) => one.name === name)!.number;

/** A call: what happens before it and after it, and whether it happens. */
const call = (
  name: string,
  number: number,
  { before, after, lost = false }: { before?: Change; after?: Change; lost?: boolean },
): Mutant =>
  atBorder(name, (border, platform) => ({
    hypercall(by) {
      if (platform.cpu.state.gpr32(RAX) !== number) return border.hypercall(by);
      before?.(platform);
      if (lost) platform.cpu.state.setGpr(RAX, 0n);
      const done = lost || border.hypercall(by);
      after?.(platform);
      return done;
    },
  }));

const lost = (name: string): Mutant => call(`${name} does nothing`, numberOf(name), { lost: true });

/** A field of the structure that the second argument points to. */
const field =
  (offset: number, change: (value: number) => number): Change =>
  (platform) => {
    const at = platform.cpu.state.gpr32(RSI) + offset;
    setWordAt(platform, at, change(wordAt(platform, at)) >>> 0);
  };

const answer =
  (value: bigint): Change =>
  ({ cpu: { state } }) =>
    state.setGpr(RAX, BigInt.asUintN(64, value));

/** The clock of the vCPU, as it is written, with a word of it changed. */
const inClock = (name: string, word: 'version' | 'tsc_to_system_mul', value: number): Mutant =>
  beneath(name, (platform) => {
    const { ram } = platform;
    const own: typeof ram = Object.create(ram);
    own.write = (at, bytes) => {
      if (bytes.length !== vcpuTimeInfo.wide.size) return ram.write(at, bytes);
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(vcpuTimeInfo.wide.offsetOf(word), value, true);
      return ram.write(at, changed);
    };
    return { ...platform, ram: own };
  });

export const XEN_PVH_MUTANTS: readonly Mutant[] = [
  inLeaf('the signature is another one', abi.XEN_CPUID_FIRST_LEAF, (out) => {
    out[1] = 0x12345678;
  }),
  inLeaf('the page of calls has another MSR', abi.XEN_CPUID_FIRST_LEAF + 2, (out) => {
    out[1]! += 1;
  }),
  inMsr('the page of calls is never written', abi.XEN_HYPERCALL_MSR, 'lost'),
  inMsr('the page of calls is refused', abi.XEN_HYPERCALL_MSR, 'refused'),
  inMsr('the page of calls goes to the next frame', abi.XEN_HYPERCALL_MSR, 4096),
  lost('hvm_op'),
  call('hvm_op answers with the next frame', numberOf('hvm_op'), {
    after: field(8, (value) => value + 1),
  }),
  call('hvm_op answers for the next parameter', numberOf('hvm_op'), {
    before: field(4, (value) => value + 1),
  }),
  lost('memory_op'),
  call('add_to_physmap takes the next place', numberOf('memory_op'), {
    before: field(16, (value) => value + 1),
  }),
  call('add_to_physmap shows another page', numberOf('memory_op'), {
    before: field(4, () => 0x10000),
  }),
  lost('event_channel_op'),
  call('events go to the next port', numberOf('event_channel_op'), {
    before: field(0, (value) => value + 1),
  }),
  call('unknown calls succeed', NO_CALL, { after: answer(0n) }),
  call('unknown calls have another error', NO_CALL, { after: answer(EINVAL) }),
  call('unknown calls lose a register', NO_CALL, {
    after: ({ cpu }) => cpu.state.setGpr(RBP, 0n),
  }),
  atBorder('calls are unknown instructions', () => ({ hypercall: () => false })),
  inClock('the clock is always being written', 'version', 1),
  inClock('the clock stands still', 'tsc_to_system_mul', 0),
  inInstructions('RDTSC stands still', POLICY_RDTSC, ({ cpu: { state } }) => {
    state.setGpr32(0, 5);
    state.setGpr32(2, 0);
  }),
  beneath('the date is lost', (platform) => ({ ...platform, epochSeconds: 0 })),
  beneath('the console is lost', (platform) => ({
    ...platform,
    console: { ...platform.console, transmit: () => {} },
  })),
];
