// Ways to break VMI: a ROM that is another, calls of it that do nothing or something else, faults that arrive otherwise.

import type { Platform } from '../../src/hypervisors/index.ts';
import { vromHeader } from '../../src/hypervisors/vmi/abi.ts';
import { VMI_CALLS } from '../../src/hypervisors/vmi/call.ts';
import {
  callAt,
  GET_RELOC,
  INIT,
  ROM_AT,
  TRAP_BYTES,
} from '../../src/hypervisors/vmi/rom/layout.ts';
import {
  atBorder,
  beneath,
  inFaults,
  inMmu,
  inState,
  type Mutant,
  setWordAt,
  wordAt,
} from './mutant.ts';

const [EAX, ECX, EDX, ESP] = [0, 1, 2, 4];
const PAGE = 4096;
const CF = 1;
const [DE, UD, NP, GP, PF] = [0, 6, 11, 13, 14];
const WITH_ERROR: readonly number[] = [NP, GP, PF];
const RW = 2;
const PRESENT = 0x8000;
const GLOBAL = 2;
const STUB_BYTES = 32;

/** What the trap that the vCPU is in asks for. */
function isCall({ cpu: { state } }: Platform, number: number): boolean {
  return callAt(state.get('rip') - TRAP_BYTES - ROM_AT) === number;
}

const numberOf = (name: string): number => VMI_CALLS.find((call) => call.name === name)!.number;

type Change = (platform: Platform) => void;

/** A call: what happens before it and after it, and whether it happens. */
const call = (
  name: string,
  number: number,
  { before, after, lost = false }: { before?: Change; after?: Change; lost?: boolean },
): Mutant =>
  atBorder(name, (border, platform) => ({
    hypercall(by) {
      if (!isCall(platform, number)) return border.hypercall(by);
      before?.(platform);
      const done = lost || border.hypercall(by);
      after?.(platform);
      return done;
    },
  }));

const lost = (name: string): Mutant => call(`${name} does nothing`, numberOf(name), { lost: true });
const bent = (what: string, name: string, before: Change): Mutant =>
  call(`${name} ${what}`, numberOf(name), { before });
const answers = (what: string, name: string, after: Change): Mutant =>
  call(`${name} answers ${what}`, numberOf(name), { after });

const add =
  (register: number, more: number): Change =>
  ({ cpu: { state } }) =>
    state.setGpr32(register, (state.gpr32(register) + more) >>> 0);
const flip =
  (register: number, bits: number): Change =>
  ({ cpu: { state } }) =>
    state.setGpr32(register, (state.gpr32(register) ^ bits) >>> 0);
const clear =
  (register: number, bits: number): Change =>
  ({ cpu: { state } }) =>
    state.setGpr32(register, (state.gpr32(register) & ~bits) >>> 0);
const zero = (register: number): Change => clear(register, -1);
/** The word so many bytes above the return address. */
const flipOnStack =
  (offset: number, bits: number): Change =>
  (platform) => {
    const at = platform.cpu.state.gpr32(ESP) + offset;
    setWordAt(platform, at, wordAt(platform, at) ^ bits);
  };

/** A byte of the ROM's header is another. */
const inRom = (
  name: string,
  field: Parameters<typeof vromHeader.offsetOf>[0],
  value: number,
): Mutant =>
  atBorder(name, (_border, { ram }) => {
    ram.setU8(ROM_AT + vromHeader.offsetOf(field), value);
    return {};
  });

const fault = (name: string, vector: number, other: number, change = (error: number) => error) =>
  inFaults(name, vector, ({ error }) => ({
    vector: other,
    error: WITH_ERROR.includes(other) ? change(error ?? 0) : null,
  }));

/** Leaving a lazy mode forgets what has been held back. */
const waitingLost = inState('SetLazyMode loses what waits', 'vmi', (state, made, platform) => ({
  border: {
    ...made.border,
    hypercall(by) {
      if (isCall(platform, numberOf('SetLazyMode'))) state.waiting = [];
      return made.border.hypercall(by);
    },
  },
}));

export const VMI_MUTANTS: readonly Mutant[] = [
  inRom('the ROM has no signature', 'rom_signature', 0),
  inRom('the ROM is of API 2', 'api_version_maj', 2),
  call('Init fails', INIT, { after: ({ cpu }) => cpu.state.setGpr32(EAX, -1 >>> 0) }),
  call('no call has an entry', GET_RELOC, { after: zero(EAX) }),
  call('every entry is that of the next call', GET_RELOC, { after: add(EAX, STUB_BYTES) }),
  lost('SetPxELong'),
  bent('maps the next frame', 'SetPxELong', add(EAX, PAGE)),
  bent('changes the next entry', 'SetPxELong', add(ECX, 8)),
  bent('makes everything read-only', 'SetPxELong', clear(EAX, RW)),
  bent('makes read-only pages writable', 'SetPxELong', ({ cpu: { state } }) => {
    if (state.gpr32(EAX) & 1) state.setGpr32(EAX, (state.gpr32(EAX) | RW) >>> 0);
  }),
  lost('InvalPage'),
  bent('drops the next page', 'InvalPage', add(EAX, PAGE)),
  lost('FlushTLB'),
  bent('keeps global translations', 'FlushTLB', clear(EAX, GLOBAL)),
  lost('SetCR3'),
  answers('with the next page', 'GetCR3', add(EAX, PAGE)),
  answers('with the next page', 'GetCR2', add(EAX, PAGE)),
  lost('SetCR2'),
  lost('SetCR0'),
  lost('CLTS'),
  answers('with the opposite of TS', 'GetCR0', flip(EAX, 8)),
  lost('SetCR4'),
  lost('SetDR'),
  answers('with 0', 'GetDR', zero(EAX)),
  bent('takes what lies behind', 'SetGDT', add(EAX, 2)),
  lost('SetIDT'),
  lost('SetTR'),
  lost('GetGDT'),
  lost('GetIDT'),
  answers('with 0', 'GetTR', zero(EAX)),
  lost('WriteGDTEntry'),
  bent('writes the next entry', 'WriteGDTEntry', add(EDX, 1)),
  bent('loses P', 'WriteGDTEntry', flipOnStack(4, PRESENT)),
  lost('WriteIDTEntry'),
  lost('WriteLDTEntry'),
  lost('SetLDT'),
  lost('EnableInterrupts'),
  lost('DisableInterrupts'),
  lost('SetInterruptMask'),
  answers('with 0', 'GetInterruptMask', zero(EAX)),
  bent('loses CF', 'IRET', flipOnStack(12, CF)),
  call('Halt does not wait', numberOf('Halt'), { lost: true }),
  lost('APICWrite'),
  answers('with 0', 'APICRead', zero(EAX)),
  lost('SetAlarm'),
  bent('rings some time later', 'SetAlarm', add(EDX, 10_000_000)),
  answers('with the same each time', 'GetCycleCounter', ({ cpu: { state } }) => {
    state.setGpr32(EAX, 5);
    state.setGpr32(EDX, 0);
  }),
  answers('with 0', 'GetWallclockTime', ({ cpu: { state } }) => {
    state.setGpr32(EAX, 0);
    state.setGpr32(EDX, 0);
  }),
  answers('without features', 'CPUID', zero(EDX)),
  answers('with the same each time', 'RDTSC', zero(EAX)),
  waitingLost,
  fault('#PF says the opposite of present', PF, PF, (error) => error ^ 1),
  fault('#UD comes as #DE', UD, DE),
  fault('#NP names the next selector', NP, NP, (error) => error + 8),
  fault('#GP has no error code to speak of', GP, GP, () => 0),
  inMmu('the TLB forgets nothing by pages', 'flushPage'),
  beneath('the date is lost', (platform) => ({ ...platform, epochSeconds: 0 })),
];
