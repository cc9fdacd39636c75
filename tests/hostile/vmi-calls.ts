// A VMI kernel driven with nonsense: every entry of the ROM, with words, stacks and flags of chance; one machine, put back for each seed.

import { TEST_RAM } from '../../src/hypervisors/testing/platform.ts';
import { VMI_CALLS } from '../../src/hypervisors/vmi/call.ts';
import {
  CALLS_END,
  INIT_AT,
  RELOC_AT,
  ROM_AT,
  stubAt,
} from '../../src/hypervisors/vmi/rom/layout.ts';
import {
  type KernelRun,
  PAGE_OFFSET,
  REPORT_AT,
  runVmiKernel,
  SPARE_AT,
} from '../../src/hypervisors/vmi/testing/kernel.ts';
import type { Chance } from './chance.ts';
import { putBack } from './put-back.ts';

const PAGE = 4096;
const ESP = 4;
const [DIRECTORY, CODE_PAGE, STACK] = [0x20000, 0x100000, 0x80000];
/** Instructions of one step: the trap in the ROM, its return, and what little lies there. */
const STEP = 6;
const STEPS_TO_START = 300;
/** Tables, ROM, code and stack. */
const USED_BYTES = 0x110000;
const ENTRIES = [INIT_AT, RELOC_AT, ...Array.from({ length: CALLS_END }, (_, n) => stubAt(n))];
/** They end the run, or lead out of the kernel: seldom. */
const ENDING = VMI_CALLS.filter(({ name }) =>
  ['Reboot', 'Shutdown', 'IRET', 'SYSEXIT', 'Halt', 'SetCR0', 'SetCR3'].includes(name),
).map(({ number }) => stubAt(number));
const SET_CR0 = stubAt(VMI_CALLS.find(({ name }) => name === 'SetCR0')!.number);
const PE_AND_PG = 0x80000001;
const TRAPS = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [n, 'landed']));
const POINTERS = [
  0,
  -1,
  PAGE_OFFSET,
  0xfbff_fffc,
  0xfc00_0000,
  0xffff_f000,
  TEST_RAM,
  TEST_RAM - 4,
];

function start(version: string): [KernelRun, (ramBytes?: number) => void] {
  const kernel = runVmiKernel('call {Init}\nlanded:\njmp landed', {
    version,
    pae: true,
    traps: TRAPS,
    engine: 'interpreter',
    instructions: STEP,
  });
  for (let n = 0; n < STEPS_TO_START; n++) kernel.more();
  const { cpu, snapshots } = kernel.platform;
  return [kernel, putBack(cpu, snapshots, TEST_RAM)];
}

export class VmiCalls {
  private readonly version: string;
  private kernel: KernelRun;
  private reset: (ramBytes?: number) => void;

  constructor(version: string) {
    this.version = version;
    [this.kernel, this.reset] = start(version);
  }

  /** Null if every call has come to an end, and the kernel is in no ring that is not its own. */
  drive(chance: Chance, calls: number): string | null {
    const ring1 = this.version.endsWith('ring1');
    this.reset();
    for (let n = 0; n < calls; n++) {
      this.prepare(chance);
      const stop = this.kernel.more();
      if (ring1 && this.kernel.platform.cpu.state.get('cpl') === 0)
        return `call ${n}: the guest is in ring 0`;
      if (stop.kind === 'unsupported') {
        // Code where there is no RAM is the guest's own fault (lab/verdict.ts), and this processor's end.
        if (!stop.why.startsWith('the guest jumped to')) return `call ${n}: ${stop.why}`;
        [this.kernel, this.reset] = start(this.version);
      } else if (stop.kind !== 'slice' || chance.oneIn(16)) this.reset(USED_BYTES);
    }
    return null;
  }

  private prepare(chance: Chance): void {
    const { cpu, ram } = this.kernel.platform;
    const { state } = cpu;
    for (let n = 0; n < 8; n++) state.setGpr32(n, this.word(chance));
    if (!chance.oneIn(8)) state.setGpr32(ESP, STACK - 8 * chance.below(64));
    if (chance.oneIn(8)) state.setGpr32(0, chance.below(CALLS_END + 4));
    this.scribble(chance, REPORT_AT);
    this.scribble(chance, STACK);
    if (!chance.oneIn(8)) ram.setU32(state.gpr32(ESP), CODE_PAGE);
    const entry = chance.pick(ENTRIES);
    const offset = ENDING.includes(entry) && !chance.oneIn(16) ? chance.pick(ENTRIES) : entry;
    // Without paging it soon runs where there is no RAM, which nothing can be learnt from.
    if (offset === SET_CR0) state.setGpr32(0, (state.gpr32(0) | PE_AND_PG) >>> 0);
    // Where it lies with paging, too, so that a call which ends paging returns.
    state.setVa('rip', ROM_AT + offset);
    cpu.stateChanged();
  }

  /** Flags, small numbers, selectors, addresses of structures and tables, edges, anything. */
  private word(chance: Chance): number {
    switch (chance.below(6)) {
      case 0:
        return chance.below(80);
      case 1:
        return (PAGE_OFFSET + REPORT_AT + 4 * chance.below(64)) >>> 0;
      case 2:
        return (chance.pick([DIRECTORY, CODE_PAGE, STACK, SPARE_AT]) + 8 * chance.below(600)) >>> 0;
      case 3:
        return (
          (PAGE_OFFSET + chance.pick([DIRECTORY, CODE_PAGE, SPARE_AT]) + chance.below(PAGE)) >>> 0
        );
      case 4:
        return chance.pick(POINTERS) >>> 0;
      default:
        return chance.value();
    }
  }

  /** Structures of words like these. */
  private scribble(chance: Chance, at: number): void {
    const { ram } = this.kernel.platform;
    for (let n = 0; n < 4; n++) ram.setU32(at + 4 * chance.below(64), this.word(chance));
  }
}
