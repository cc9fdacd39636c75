// Ways to break Xen PV: calls that do nothing, or something else; faults and events that arrive otherwise, or not.

import type { ExceptionExit, PolicyExit } from '../../src/cpu/border.ts';
import { POLICY_SYSCALL } from '../../src/cpu/policy.ts';
import type { Platform } from '../../src/hypervisors/index.ts';
import { bindingsWith } from '../../src/lab/probe/probe-kernel.ts';
import { PROBES, probeImage } from '../../src/probe/index.ts';
import { atEntry, beneath, inExits, inMmu, type Mutant, setWordAt, wordAt } from './mutant.ts';

const [RAX, RSP, RSI, RDI] = [0, 4, 6, 7];
const IF = 0x200;
const PAGE = 4096;
const [DE, DB, UD, NM, NP, GP, PF] = [0, 1, 6, 7, 11, 13, 14];
const CALLS = {
  set_trap_table: 0,
  mmu_update: 1,
  set_gdt: 2,
  fpu_taskswitch: 5,
  set_debugreg: 8,
  get_debugreg: 9,
  update_descriptor: 10,
  update_va_mapping: 14,
  set_timer_op: 15,
  iret: 23,
  mmuext_op: 26,
  sched_op: 29,
  callback_op: 30,
  event_channel_op: 32,
} as const;
const [NEW_BASEPTR, TLB_FLUSH_LOCAL, INVLPG_LOCAL, SET_LDT] = [5, 6, 7, 13];
const BLOCK = 1;

let shared = 0;
/** Where the kernel has the page that it shares with Xen. */
function sharedInfo(): number {
  shared ||= probeImage(64, bindingsWith(null), PROBES).addressOf('xen_pv.shared');
  return shared;
}

type Call = keyof typeof CALLS;

const isCall = (exit: PolicyExit, { cpu }: Platform, call: Call): boolean =>
  exit.kind === 'instruction' &&
  exit.policy === POLICY_SYSCALL &&
  cpu.state.gpr32(RAX) === CALLS[call];

/** A call that answers at once. `only`: where its first argument is this, or points to it. */
const lost = (
  name: string,
  call: Call,
  only?: { value: number; pointed: boolean },
  answer = 0n,
): Mutant =>
  inExits(name, (exit, platform) => {
    if (!isCall(exit, platform, call)) return exit;
    const { cpu } = platform;
    if (
      only &&
      (only.pointed ? wordAt(platform, cpu.state.gpr32(RDI)) : cpu.state.gpr32(RDI)) !== only.value
    )
      return exit;
    cpu.state.setGpr(RAX, answer);
    if (exit.kind === 'instruction') cpu.complete(exit.bytes);
    return null;
  });

/** A call whose arguments are others. */
const bent = (name: string, call: Call, bend: (platform: Platform) => void): Mutant =>
  inExits(name, (exit, platform) => {
    if (isCall(exit, platform, call)) bend(platform);
    return exit;
  });

const addTo = (platform: Platform, at: number, more: number): void =>
  setWordAt(platform, at, wordAt(platform, at) + more);

const argument = (platform: Platform, register: number) => platform.cpu.state.gpr32(register);

const fault = (
  name: string,
  vector: number,
  change: (exit: ExceptionExit) => ExceptionExit | number,
): Mutant =>
  inExits(name, (exit, { cpu }) => {
    if (exit.kind !== 'exception' || exit.vector !== vector) return exit;
    const changed = change({ ...exit });
    if (typeof changed !== 'number') return changed;
    cpu.complete(changed);
    return null;
  });

const pointed = (value: number) => ({ value, pointed: true });
const direct = (value: number) => ({ value, pointed: false });

export const XEN_PV_MUTANTS: readonly Mutant[] = [
  lost('set_trap_table does nothing', 'set_trap_table'),
  lost('mmu_update does nothing', 'mmu_update'),
  bent('mmu_update maps the next frame', 'mmu_update', (platform) =>
    addTo(platform, argument(platform, RDI) + 8, PAGE),
  ),
  bent('mmu_update changes the next entry', 'mmu_update', (platform) =>
    addTo(platform, argument(platform, RDI), 8),
  ),
  bent('mmu_update makes everything read-only', 'mmu_update', (platform) => {
    if (wordAt(platform, argument(platform, RDI) + 8) & 2)
      addTo(platform, argument(platform, RDI) + 8, -2);
  }),
  lost('set_gdt does nothing', 'set_gdt'),
  lost('fpu_taskswitch does nothing', 'fpu_taskswitch'),
  bent('fpu_taskswitch does the opposite', 'fpu_taskswitch', ({ cpu }) =>
    cpu.state.setGpr(RDI, BigInt(cpu.state.gpr32(RDI) ^ 1)),
  ),
  lost('set_debugreg does nothing', 'set_debugreg'),
  lost('get_debugreg answers with 0', 'get_debugreg'),
  lost('update_descriptor does nothing', 'update_descriptor'),
  bent('update_descriptor changes the next entry', 'update_descriptor', ({ cpu }) =>
    cpu.state.setGpr(RDI, cpu.state.gpr(RDI) + 8n),
  ),
  bent('update_descriptor loses P', 'update_descriptor', ({ cpu }) =>
    cpu.state.setGpr(RSI, cpu.state.gpr(RSI) & ~(1n << 47n)),
  ),
  lost('update_va_mapping does nothing', 'update_va_mapping'),
  lost('the timer is never set', 'set_timer_op'),
  bent('the timer is set to some time later', 'set_timer_op', ({ cpu }) =>
    cpu.state.setGpr(RDI, cpu.state.gpr(RDI) + 10_000_000n),
  ),
  lost('NEW_BASEPTR does nothing', 'mmuext_op', pointed(NEW_BASEPTR)),
  lost('TLB_FLUSH_LOCAL does nothing', 'mmuext_op', pointed(TLB_FLUSH_LOCAL)),
  lost('INVLPG_LOCAL does nothing', 'mmuext_op', pointed(INVLPG_LOCAL)),
  lost('SET_LDT does nothing', 'mmuext_op', pointed(SET_LDT)),
  lost('SCHEDOP_block does not wait', 'sched_op', direct(BLOCK)),
  lost('callbacks are not registered', 'callback_op'),
  lost('events are not bound', 'event_channel_op', direct(1)),
  // RAX, R11, RCX, flags, RIP, CS, and then RFLAGS.
  bent('iret loses IF', 'iret', (platform) => {
    const at = platform.cpu.state.gpr32(RSP) + 48;
    if (wordAt(platform, at) & IF) addTo(platform, at, -IF);
  }),
  inExits('unknown calls succeed', (exit, { cpu }) => {
    if (
      exit.kind !== 'instruction' ||
      exit.policy !== POLICY_SYSCALL ||
      cpu.state.gpr32(RAX) !== 0x37
    )
      return exit;
    cpu.state.setGpr(RAX, 0n);
    cpu.complete(exit.bytes);
    return null;
  }),
  fault('#PF says the opposite of present', PF, (exit) => ({
    ...exit,
    error: (exit.error ?? 0) ^ 1,
  })),
  fault('#PF has an address of the next page', PF, (exit) => ({
    ...exit,
    address: exit.address + PAGE,
  })),
  fault('#UD comes as #DE', UD, (exit) => ({ ...exit, vector: DE })),
  fault('#DE comes as #UD', DE, (exit) => ({ ...exit, vector: UD })),
  fault('#NP comes as #GP', NP, (exit) => ({ ...exit, vector: GP })),
  fault('#NP names the next selector', NP, (exit) => ({ ...exit, error: (exit.error ?? 0) + 8 })),
  fault('#GP has no error code to speak of', GP, (exit) => ({ ...exit, error: 0 })),
  fault('#NM is stepped over', NM, () => 2),
  fault('#DB is lost', DB, () => 0),
  atEntry('events are never delivered', () => {}),
  atEntry('events come although they are masked', (enter, { cpu: { mmu } }) => {
    if (mmu.read(sharedInfo() + 1, 1, 'current')) {
      mmu.buf.setUint8(0, 0);
      mmu.write(sharedInfo() + 1, 1, 'current');
    }
    enter();
  }),
  beneath('the date is lost', (platform) => ({ ...platform, epochSeconds: 0 })),
  beneath('the console is lost', (platform) => ({
    ...platform,
    console: { ...platform.console, transmit: () => {} },
  })),
  inMmu('the TLB forgets nothing', 'flushPage'),
];
