// A trap in the ROM: which call it is, its words, and what it does; the two entries without a number too.

import { CS } from '../../cpu/descriptors.ts';
import { FIELDS, SEG_AT, SEG_BASE, SEG_STRIDE } from '../../cpu/state.ts';
import { codePlace } from '../../cpu/tlb-place.ts';
import type { SeenArguments } from '../seen.ts';
import { RELOCATION } from './abi.ts';
import type { VmiCall, Words } from './calls/define.ts';
import * as families from './calls/index.gen.ts';
import { settle } from './lazy.ts';
import { enterRing1 } from './ring1.ts';
import {
  CALLS_END,
  callAt,
  GET_RELOC,
  INIT,
  ROM_AT,
  ROM_BYTES,
  stubAt,
  TRAP_BYTES,
} from './rom/layout.ts';
import { answer, kernelRing, RAX, RCX, RDI, RDX, RSI, stackWord, type VmiVcpu } from './vcpu.ts';

/** Words of the vCPU. */
const [CPL, MODE, RIP] = [FIELDS.cpl.at >> 2, FIELDS.codeMode.at >> 2, FIELDS.rip.at >> 2];
const CS_BASE = (SEG_AT + CS * SEG_STRIDE + SEG_BASE) >> 2;

const isCall = (value: unknown): value is VmiCall =>
  typeof value === 'object' && value !== null && 'number' in value && 'handle' in value;

export const VMI_CALLS: readonly VmiCall[] = Object.values(families)
  .flatMap((family) => Object.values(family as Readonly<Record<string, unknown>>).filter(isCall))
  .toSorted((a, b) => a.number - b.number);

const BY_NUMBER: readonly (VmiCall | null)[] = Array.from(
  { length: CALLS_END },
  (_, number) => VMI_CALLS.find((call) => call.number === number) ?? null,
);

/** How many words of the stack each call takes. */
const STACK_WORDS: readonly number[] = BY_NUMBER.map(
  (call) => Object.values(call?.takes ?? {}).filter((place) => place.startsWith('stack')).length,
);

/** As traces and the manifest spell a call. */
export const entryName = ({ name }: VmiCall): string => `VMI_${name}`;

/** VMCALL: a call if it lies in the ROM and the kernel has made it; `false` is #UD, as everywhere else. */
export function trapped(vcpu: VmiVcpu): boolean | 'faulted' {
  const { vcpuWords, allWords, platform } = vcpu;
  if (vcpuWords[CPL] !== kernelRing(vcpu) || vcpuWords[MODE] !== 32) return false;
  const linear = (vcpuWords[RIP]! + vcpuWords[CS_BASE]! - TRAP_BYTES) | 0;
  const place = codePlace(allWords, vcpuWords, linear, 0);
  const gpa = place >= 0 ? place : platform.cpu.mmu.fetch(linear >>> 0);
  const offset = gpa - ROM_AT;
  if (offset < 0 || offset >= ROM_BYTES) return false;
  const number = callAt(offset);
  if (number === INIT) return initialise(vcpu);
  if (number === GET_RELOC) return relocate(vcpu, (linear - offset) >>> 0);
  const call = number === null ? null : BY_NUMBER[number];
  if (!call || isLeftOut(vcpu, call)) return false;
  return run(vcpu, call) === 0 ? true : 'faulted';
}

/** A ROM that never had it answers NONE when it is asked for. */
const isLeftOut = ({ platform }: VmiVcpu, call: VmiCall): boolean =>
  platform.lacks?.(entryName(call)) ?? false;

function run(vcpu: VmiVcpu, call: VmiCall): 0 | 1 {
  const words = wordsOf(vcpu, call);
  if (words === null) return 1;
  const args = vcpu.platform.seen ? argumentsOf(vcpu, call, words) : null;
  if (call.settles) settle(vcpu);
  const done = call.handle(vcpu, words);
  if (args)
    vcpu.platform.seen?.(
      entryName(call),
      args,
      effectOf(vcpu, call, done),
      call.operation?.(words),
    );
  return done;
}

/** EAX: 0, and the guest then looks at CS to learn its ring; or -1, and it stays native. */
function initialise(vcpu: VmiVcpu): true {
  const failed = vcpu.platform.lacks?.('VMI_Init') ?? false;
  if (!failed && !vcpu.state.initialised) {
    vcpu.state.initialised = true;
    if (vcpu.ring === 1) enterRing1(vcpu);
  }
  answer(vcpu, failed ? -1 : 0);
  vcpu.platform.seen?.('VMI_Init', {}, failed ? -1 : 0);
  return true;
}

/** EDX:EAX is struct vmi_relocation_info: where the call is to be entered, seen from where the ROM was, and how. */
function relocate(vcpu: VmiVcpu, rom: number): true {
  const { state } = vcpu.platform.cpu;
  const number = state.gpr32(RAX);
  const known = BY_NUMBER[number];
  const left = vcpu.platform.lacks?.('VMI_GetRelocationInfo') || !known || isLeftOut(vcpu, known);
  const call = left ? null : known;
  const type = call ? RELOCATION.call : RELOCATION.none;
  state.setGpr32(RAX, call ? (rom + stubAt(number)) >>> 0 : 0);
  state.setGpr32(RDX, type);
  vcpu.platform.seen?.('VMI_GetRelocationInfo', { call: number }, type);
  return true;
}

/** Into the vCPU's own words, since calls are frequent. Null: the stack faults. */
function wordsOf(vcpu: VmiVcpu, { number }: VmiCall): Words | null {
  const { words } = vcpu;
  const { state } = vcpu.platform.cpu;
  words.eax = state.gpr32(RAX);
  words.edx = state.gpr32(RDX);
  words.ecx = state.gpr32(RCX);
  for (let n = 0; n < STACK_WORDS[number]!; n++) {
    const word = stackWord(vcpu, n + 1);
    if (word === null) return null;
    if (n === 0) words.stack1 = word;
    else words.stack2 = word;
  }
  return words;
}

function argumentsOf({ platform }: VmiVcpu, { takes = {} }: VmiCall, words: Words): SeenArguments {
  const { state } = platform.cpu;
  const all = { ...words, esi: state.gpr32(RSI), edi: state.gpr32(RDI) };
  return Object.fromEntries(Object.entries(takes).map(([name, place]) => [name, hex(all[place])]));
}

function effectOf({ platform }: VmiVcpu, call: VmiCall, done: 0 | 1): number | string | null {
  const { state } = platform.cpu;
  if (done !== 0) return `fault ${state.get(FIELDS.faultVector)}`;
  if (call.gives === 'edx:eax') return hex64(state.gpr32(RDX), state.gpr32(RAX));
  return call.gives && !call.gives.startsWith('nothing') ? hex(state.gpr32(RAX)) : null;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const hex64 = (high: number, low: number): string =>
  `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`;
