// Ways to break lguest: calls that do nothing or something else, a shadow that shows what it should not, faults and interrupts.

import type { ExceptionExit } from '../../src/cpu/border.ts';
import { POLICY_INT } from '../../src/cpu/policy.ts';
import type { Platform } from '../../src/hypervisors/index.ts';
import {
  hcallArgs,
  LHCALL,
  LHCALL_RING_SIZE,
  lguestData,
} from '../../src/hypervisors/lguest/abi.ts';
import { bindingsWith } from '../../src/lab/probe/probe-kernel.ts';
import { PROBES, probeImage } from '../../src/probe/index.ts';
import {
  atBorder,
  atEntry,
  beneath,
  inExits,
  inLeaf,
  inMmu,
  inState,
  type Mutant,
} from './mutant.ts';

const PAGE = 4096;
const IF = 0x200;
const RW = 2;
const PRESENT = 0x8000;
const FXSR = 1 << 24;
const [DE, UD, NM, NP, GP, PF] = [0, 6, 7, 11, 13, 14];
/** Number and arguments, as in the ring: EAX, EBX, ECX, EDX, ESI. */
const REGISTERS = [0, 3, 1, 2, 6] as const;
const SLOT_FREE = 0xff;

const places = new Map<string, number>();
/** Where the kernel has this; it runs at its physical addresses. */
function placeOf(label: string): number {
  const known = places.get(label);
  if (known !== undefined) return known;
  const at = probeImage(32, bindingsWith(null), PROBES).addressOf(label);
  places.set(label, at);
  return at;
}
const inData = (field: Parameters<typeof lguestData.offsetOf>[0]): number =>
  placeOf('lguest.data') + lguestData.offsetOf(field);

/** A call under way, or one that waits in the ring. */
interface Words {
  get(n: number): number;
  set(n: number, value: number): void;
}

function* callsOf({ cpu: { state }, ram }: Platform): Generator<Words> {
  yield {
    get: (n) => state.gpr32(REGISTERS[n]!),
    set: (n, value) => state.setGpr32(REGISTERS[n]!, value >>> 0),
  };
  for (let slot = 0; slot < LHCALL_RING_SIZE; slot++) {
    if (ram.u8(inData('hcall_status') + slot) === SLOT_FREE) continue;
    const at = inData('hcalls') + slot * hcallArgs.size;
    yield {
      get: (n) => ram.u32(at + 4 * n),
      set: (n, value) => void ram.setU32(at + 4 * n, value >>> 0),
    };
  }
}

/** Calls of this kind have other words. */
const bent = (name: string, call: keyof typeof LHCALL, bend: (words: Words) => void): Mutant =>
  atBorder(name, (border, platform) => ({
    hypercall(by) {
      for (const words of callsOf(platform)) if (words.get(0) === LHCALL[call]) bend(words);
      return border.hypercall(by);
    },
  }));

const lost = (call: keyof typeof LHCALL): Mutant =>
  bent(`${call} does nothing`, call, (words) => words.set(0, LHCALL.FLUSH_ASYNC));

const more = (n: number, by: number) => (words: Words) => words.set(n, words.get(n) + by);

const fault = (
  name: string,
  vector: number,
  change: (exit: ExceptionExit) => ExceptionExit | number,
): Mutant =>
  inExits(name, (exit, platform) => {
    if (exit.kind !== 'exception' || exit.vector !== vector) return exit;
    const changed = change({ ...exit });
    if (typeof changed !== 'number') return changed;
    platform.cpu.complete(changed);
    return null;
  });

/** Leaves of the shadow, which show a page of the guest's, are others. */
const inShadow = (name: string, change: (entry: number) => number): Mutant =>
  beneath(name, (platform) => {
    const { ram, memoryBytes } = platform;
    const own: typeof ram = Object.create(ram);
    own.setU32 = (at, value) => {
      const leaf = at >= memoryBytes && (value & 1) !== 0 && frameOf(value) < memoryBytes;
      return ram.setU32(at, leaf ? change(value) >>> 0 : value);
    };
    return { ...platform, ram: own };
  });

const frameOf = (entry: number): number => (entry - (entry & 0xfff)) >>> 0;

export const LGUEST_MUTANTS: readonly Mutant[] = [
  lost('LGUEST_INIT'),
  lost('SET_PTE'),
  bent('SET_PTE is of the next page', 'SET_PTE', more(2, PAGE)),
  bent('SET_PTE maps the next frame', 'SET_PTE', (words) => {
    if (words.get(3) & 1) words.set(3, words.get(3) + PAGE);
  }),
  bent('FLUSH_ASYNC forgets the shadow', 'FLUSH_ASYNC', (words) => words.set(0, LHCALL.SET_PMD)),
  bent('SET_PTE is of another address space', 'SET_PTE', more(1, PAGE)),
  lost('FLUSH_TLB'),
  lost('NEW_PGTABLE'),
  bent('NEW_PGTABLE takes the next page', 'NEW_PGTABLE', more(1, PAGE)),
  lost('LOAD_GDT_ENTRY'),
  bent('LOAD_GDT_ENTRY writes the next entry', 'LOAD_GDT_ENTRY', more(1, 1)),
  bent('LOAD_GDT_ENTRY loses P', 'LOAD_GDT_ENTRY', (words) =>
    words.set(3, words.get(3) & ~PRESENT),
  ),
  lost('LOAD_IDT_ENTRY'),
  bent('LOAD_IDT_ENTRY writes the next gate', 'LOAD_IDT_ENTRY', more(1, 1)),
  lost('LOAD_TLS'),
  bent('LOAD_TLS takes the next descriptors', 'LOAD_TLS', more(1, 8)),
  lost('SET_STACK'),
  bent('SET_STACK takes the next page', 'SET_STACK', more(2, PAGE)),
  lost('TS'),
  bent('TS does the opposite', 'TS', (words) => words.set(1, words.get(1) === 0 ? 8 : 0)),
  lost('SET_CLOCKEVENT'),
  bent('SET_CLOCKEVENT rings far too late', 'SET_CLOCKEVENT', (words) =>
    words.set(1, words.get(1) * 1000),
  ),
  lost('HALT'),
  lost('NOTIFY'),
  inMmu('the TLB forgets nothing by pages', 'flushPage'),
  inMmu('the TLB forgets nothing as a whole', 'flushAll'),
  inShadow('the shadow shows the frame behind', (entry) =>
    frameOf(entry) === placeOf('page.a') ? entry + PAGE : entry,
  ),
  inShadow('the shadow lets pages be written that are not dirty', (entry) => entry | RW),
  fault('#PF says the opposite of present', PF, (exit) => ({
    ...exit,
    error: (exit.error ?? 0) ^ 1,
  })),
  inState('#PF has an address of the next page', 'lguest', (_state, made, { ram }) => ({
    exit(exit) {
      made.exit?.(exit);
      if (exit.kind !== 'exception' || exit.vector !== PF) return;
      ram.setU32(inData('cr2'), ram.u32(inData('cr2')) + PAGE);
    },
  })),
  fault('#UD comes as #DE', UD, (exit) => ({ ...exit, vector: DE })),
  fault('#DE comes as #UD', DE, (exit) => ({ ...exit, vector: UD })),
  fault('#NP comes as #GP', NP, (exit) => ({ ...exit, vector: GP })),
  fault('#NP names the next selector', NP, (exit) => ({ ...exit, error: (exit.error ?? 0) + 8 })),
  fault('#NM is stepped over', NM, () => 2),
  fault('#GP is stepped over', GP, () => 2),
  fault('ports are not answered for', GP, (exit) => ({ ...exit, error: exit.error || 8 })),
  inExits('INT n is stepped over', (exit, { cpu }) => {
    if (exit.kind !== 'instruction' || exit.policy !== POLICY_INT) return exit;
    cpu.complete(exit.bytes);
    return null;
  }),
  atEntry('interrupts are never delivered', () => {}),
  atEntry('interrupts come although they are off', (enter, { ram }) => {
    ram.setU32(inData('irq_enabled'), IF);
    enter();
  }),
  inState('each interrupt comes twice', 'lguest', (state, made, { ram }) => ({
    enter() {
      const before = state.pending;
      made.enter?.();
      if (before === state.pending) return;
      state.pending = before;
      ram.setU32(inData('irq_enabled'), IF);
      made.enter?.();
    },
  })),
  inLeaf('CPUID has no leaves', 0, (out) => out.fill(0)),
  inLeaf('CPUID leaves out FXSR', 1, (out) => {
    out[3]! &= ~FXSR;
  }),
  beneath('the date is lost', (platform) => ({ ...platform, epochSeconds: 0 })),
  beneath('the console is lost', (platform) => ({
    ...platform,
    console: { ...platform.console, transmit: () => {} },
  })),
];
