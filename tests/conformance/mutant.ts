// What a mutant is: an interface broken in one way, from outside, through what defines it: its policy, its platform, what it attaches.

import type { Border, ExceptionExit, PolicyExit } from '../../src/cpu/border.ts';
import type { EngineName } from '../../src/cpu/core.ts';
import { deliver } from '../../src/cpu/deliver.ts';
import type { Attached, HypervisorInterface, Platform } from '../../src/hypervisors/index.ts';

export interface Mutant {
  readonly name: string;
  /** The engine that does what is broken by what is broken, and not in WebAssembly by itself. */
  readonly engine?: EngineName;
  change(on: HypervisorInterface): HypervisorInterface;
}

type Attach = (platform: Platform, version: string) => Attached;

/** Something around `attach`. */
const around = (name: string, change: (attach: Attach) => Attach): Mutant => ({
  name,
  change: (on) => ({ ...on, attach: change((platform, version) => on.attach(platform, version)) }),
});

/** Another world beneath the interface. */
export const beneath = (
  name: string,
  change: (platform: Platform) => Platform | undefined,
): Mutant =>
  around(name, (attach) => (platform, version) => attach(change(platform) ?? platform, version));

/** Other answers at the border of the CPU; what is not given stays. `whole` has every answer as it was. */
export const atBorder = (
  name: string,
  change: (whole: Border, platform: Platform) => Partial<Border>,
): Mutant =>
  around(name, (attach) => (platform, version) => {
    const made = attach(platform, version);
    const whole = { ...platform.devices, ...made.border } as Border;
    return {
      ...made,
      border: { ...made.border, ...change(bound(whole, platform, made), platform) },
    };
  });

/** A leaf of CPUID that says something else. */
export const inLeaf = (name: string, number: number, change: (out: Uint32Array) => void): Mutant =>
  atBorder(name, (border) => ({
    cpuid(asked, subleaf, out) {
      border.cpuid(asked, subleaf, out);
      if (asked >>> 0 === number) change(out);
    },
  }));

/** Writes to an MSR that are lost, refused, or (a number) are so much more. */
export const inMsr = (name: string, number: number, write: 'lost' | 'refused' | number): Mutant =>
  atBorder(name, (border) => ({
    wrmsr(index, lo, hi) {
      if (index >>> 0 !== number) return border.wrmsr(index, lo, hi);
      if (typeof write === 'number') return border.wrmsr(index, lo + write, hi);
      return write === 'lost';
    },
  }));

/** Methods of devices keep their object. */
function bound(_whole: Border, { devices }: Platform, { border }: Attached): Border {
  const pick = <K extends keyof Border>(name: K): Border[K] => {
    const own = border[name as keyof typeof border] as Border[K] | undefined;
    const owner = own ? border : devices;
    const found = (own ?? devices[name as keyof typeof devices]) as unknown;
    return (typeof found === 'function' ? found.bind(owner) : found) as Border[K];
  };
  const names = ['ioRead', 'ioWrite', 'mmioRead', 'mmioWrite', 'cpuid', 'rdmsr', 'wrmsr'] as const;
  const rest = ['hypercall', 'readCr8', 'writeCr8', 'acknowledgeInterrupt'] as const;
  return Object.fromEntries(
    [...names, ...rest].map((name) => [name, pick(name)]),
  ) as unknown as Border;
}

/** An operation of the MMU that does something else. */
export const inMmu = (
  name: string,
  method: 'flushPage' | 'flushAll' | 'flushNonGlobal',
  instead: (real: (va: number) => void) => (va: number) => void = () => () => {},
): Mutant => ({
  engine: 'reference',
  ...beneath(name, ({ cpu: { mmu } }) => {
    const real = mmu[method].bind(mmu) as (va: number) => void;
    Object.assign(mmu, { [method]: instead(real) });
    return undefined;
  }),
});

/** A fault that arrives as another one, or (null) is stepped over. Only where the processor itself delivers faults. */
export function inFaults(
  name: string,
  vector: number,
  change: (
    exit: ExceptionExit,
    platform: Platform,
  ) => { vector: number; error: number | null } | number,
): Mutant {
  return {
    name,
    change: (on) => ({
      ...on,
      policy: { ...on.policy, exceptions: on.policy.exceptions | (1 << vector) },
      attach(platform, version) {
        const made = on.attach(platform, version);
        return {
          ...made,
          exit(exit) {
            if (exit.kind === 'exception' && exit.vector === vector)
              faulted(exit, platform, change);
            else made.exit?.(exit);
          },
        };
      },
    }),
  };
}

function faulted(
  exit: ExceptionExit,
  platform: Platform,
  change: Parameters<typeof inFaults>[2],
): void {
  const { cpu } = platform;
  const { vector, error, address } = exit;
  if (vector === 14) cpu.state.setVa('faultAddress', address);
  const event = change({ kind: 'exception', vector, error, address }, platform);
  if (typeof event === 'number') cpu.complete(event);
  else if (deliver(cpu.cx, { ...event, kind: 'fault' }) !== 'ok') platform.power.end('shutdown');
}

/** An instruction that does something else, of those that an exit policy can ask for. `act` says what, before it is stepped over. */
export const inInstructions = (
  name: string,
  bit: number,
  act: (platform: Platform) => void,
): Mutant => ({
  name,
  change: (on) => ({
    ...on,
    policy: { ...on.policy, instructions: on.policy.instructions | bit },
    attach(platform, version) {
      const made = on.attach(platform, version);
      return {
        ...made,
        exit(exit) {
          if (exit.kind !== 'instruction' || exit.policy !== bit) return made.exit?.(exit);
          act(platform);
          platform.cpu.complete(exit.bytes);
          return undefined;
        },
      };
    },
  }),
});

/** What it would answer in place leaves the CPU, where a mutant can see it. */
function leavingAlways(made: Attached): Attached {
  const { syscall: _, ...border } = made.border;
  return { ...made, border };
}

/** The exits of an interface that answers them, changed on the way; null: the exit never gets there. */
export const inExits = (
  name: string,
  change: (exit: PolicyExit, platform: Platform) => PolicyExit | null,
): Mutant =>
  around(name, (attach) => (platform, version) => {
    const made = leavingAlways(attach(platform, version));
    return {
      ...made,
      exit(exit) {
        const changed = change(exit, platform);
        if (changed) made.exit?.(changed);
      },
    };
  });

/** The place where an interface injects events. */
export const atEntry = (
  name: string,
  change: (enter: () => void, platform: Platform) => void,
): Mutant =>
  around(name, (attach) => (platform, version) => {
    const made = leavingAlways(attach(platform, version));
    return { ...made, enter: () => change(() => made.enter?.(), platform) };
  });

type State = Record<string, unknown>;

/** What an interface keeps in a slot of the snapshot is known to what is attached otherwise. */
export const inState = (
  name: string,
  slot: string,
  change: (state: State, made: Attached, platform: Platform) => Partial<Attached>,
): Mutant =>
  around(name, (attach) => (platform, version) => {
    let found: State = {};
    const { snapshots } = platform;
    const add = snapshots.addState.bind(snapshots);
    snapshots.addState = (slotName, state, restored) => {
      if (slotName === slot) found = state as State;
      add(slotName, state, restored);
    };
    const made = attach(platform, version);
    return { ...made, ...change(found, made, platform) };
  });

/** A word of the guest's memory, by its address in the running tables; -1: there is none. */
export function wordAt({ cpu: { mmu } }: Platform, at: number): number {
  return mmu.read(at, 4, 'system') ? mmu.buf.getUint32(0, true) : -1;
}

export function setWordAt({ cpu: { mmu } }: Platform, at: number, value: number): void {
  mmu.buf.setUint32(0, value, true);
  mmu.write(at, 4, 'system');
}
