// The call itself: number and arguments out of registers, the right to call, the result into RAX, and going on later.

import type { Pair } from '../../base/struct.ts';
import { GPR_AT, type State } from '../../cpu/state.ts';
import { NO_ARGUMENTS } from '../seen.ts';
import { ENOSYS } from './abi/errno.ts';
import {
  type AnyHypercall,
  argumentAt,
  type Call,
  type Caller,
  type CallResult,
  type CallWords,
  CONTINUE,
  callerBit,
  type DefinedSub,
  type Frame,
  type HypercallTable,
  LEFT,
} from './define.ts';
import { logOnce, type XenDomain, type XenVcpu } from './domain.ts';
import { GuestView } from './guest-view.ts';

const RAX = 0;
const FOUR_GIB = 0x1_0000_0000;
/** What a trace says of calls that do not answer. */
const UNANSWERED = { [CONTINUE]: 'to be continued', [LEFT]: 'left' } as const;
/** RDI RSI RDX R10 R8 R9, and EBX ECX EDX ESI EDI EBP (arch-x86/xen-x86_64.h, xen-x86_32.h). */
const REGISTERS = { wide: [7, 6, 2, 10, 8, 9], narrow: [3, 1, 2, 6, 7, 5] } as const;

/** Who calls what: the calls of a table are those that the caller has. By number, in whatever order they are exported. */
export function hypercallTable(calls: readonly AnyHypercall[]): HypercallTable {
  const byNumber: (AnyHypercall | null)[] = [];
  for (const call of calls) {
    while (byNumber.length <= call.number) byNumber.push(null);
    byNumber[call.number] = call;
  }
  return {
    get: (number) => (number >= 0 && number < byNumber.length ? byNumber[number]! : null),
    values: () => byNumber.filter((call) => call !== null),
  };
}

/** The running vCPU has executed its calling instruction. `wide`: in 64-bit code. */
export function hypercall(
  domain: XenDomain,
  vcpu: XenVcpu,
  table: HypercallTable,
  caller: Caller,
  wide: boolean,
): void {
  const { state } = domain.platform.cpu;
  domain.state.called = true;
  const frame = frameOf(domain, vcpu, table, caller, wide);
  const named = !wide || state.gprHigh(RAX) === 0;
  const result = perform(frame, named ? state.gpr32(RAX) : -1);
  if (typeof result === 'number') return setResult(state, result, wide);
  if (result === LEFT) return;
  const { words, at } = frame.from;
  if (!wide) for (const low of at) words[low + 1] = 0;
  domain.guest.rewind();
}

function setResult(state: State, result: number, wide: boolean): void {
  // All but a few are of 32 bits.
  if (wide && result !== (result | 0)) state.setGprSigned(RAX, result);
  else state.setGprHalves(RAX, result, wide ? result >> 31 : 0);
}

/** One for each word size of a vCPU, which has one call under way at a time: to make one would cost more than most calls do. */
function frameOf(
  domain: XenDomain,
  vcpu: XenVcpu,
  table: HypercallTable,
  caller: Caller,
  wide: boolean,
): CallFrame {
  const { frames } = vcpu;
  const made = wide ? frames.wide : frames.narrow;
  if (made !== null) return made as CallFrame;
  const frame = new CallFrame(domain, vcpu, table, caller, wide, registersOf(domain, wide), false);
  if (wide) frames.wide = frame;
  else frames.narrow = frame;
  return frame;
}

/** Arguments stay where the guest has put them. */
function registersOf({ platform }: XenDomain, wide: boolean): CallWords {
  const { state } = platform.cpu;
  const registers = wide ? REGISTERS.wide : REGISTERS.narrow;
  const wordOf = (register: number) => (state.base + GPR_AT + register * 8) >> 2;
  return { words: state.views.i32, at: registers.map(wordOf) };
}

/** One call under way, as its handler reaches it and as it goes on later. */
class CallFrame implements Frame, Call {
  readonly domain: XenDomain;
  readonly vcpu: XenVcpu;
  readonly table: HypercallTable;
  readonly caller: Caller;
  readonly callerBit: number;
  readonly wide: boolean;
  readonly from: CallWords;
  readonly nested: boolean;
  readonly guest: GuestView;
  entry: Frame | null = null;
  /** The call that `from` has the arguments of. */
  call: AnyHypercall | null = null;

  constructor(
    domain: XenDomain,
    vcpu: XenVcpu,
    table: HypercallTable,
    caller: Caller,
    wide: boolean,
    from: CallWords,
    nested: boolean,
  ) {
    this.domain = domain;
    this.vcpu = vcpu;
    this.table = table;
    this.caller = caller;
    this.callerBit = callerBit(caller);
    this.wide = wide;
    this.from = from;
    this.nested = nested;
    this.guest = new GuestView(domain.guest, wide);
  }

  get frame(): Frame {
    return this;
  }

  within(from: CallWords, nested: boolean): Frame {
    const { domain, vcpu, table, caller, wide } = this;
    return new CallFrame(domain, vcpu, table, caller, wide, from, nested);
  }

  continueLater(changed: Readonly<Record<string, number>>): typeof CONTINUE {
    const { words, at } = this.from;
    for (const { name, wideAt, narrowAt } of this.call!.order) {
      const value = changed[name];
      if (value === undefined) continue;
      const low = at[this.wide ? wideAt : narrowAt]!;
      words[low] = value;
      if (this.wide) words[low + 1] = Math.floor(value / FOUR_GIB);
    }
    return CONTINUE;
  }
}

/** One call, whose arguments lie in `frame.from`. */
export function perform(frame: Frame, number: number): CallResult {
  const { platform } = frame.domain;
  const call = frame.table.get(number);
  if (platform.seen !== undefined || platform.lacks !== undefined)
    return performWatched(call, frame, number);
  return call === null ? -ENOSYS : answer(call, frame);
}

/** The same where somebody wants to hear of it, or parts are left out. */
function performWatched(call: AnyHypercall | null, frame: Frame, number: number): CallResult {
  const { seen, onlyCounted } = frame.domain.platform;
  if (call) useArguments(call, frame);
  // Before it is answered: a call that continues changes its words.
  const name = call ? entryName(call, frame.from) : `hypercall ${number}`;
  const args = onlyCounted || !seen || !call ? NO_ARGUMENTS : plainArguments(call.values);
  const result = call && !isLeftOut(call, name, frame) ? answer(call, frame) : -ENOSYS;
  const effect = typeof result === 'number' ? result : UNANSWERED[result];
  seen?.(name, args, effect, undefined, frame.nested ? 'multicall' : undefined);
  return result;
}

/** Without one sub-operation the call itself is still there. */
function isLeftOut(call: AnyHypercall, name: string, { domain }: Frame): boolean {
  const { lacks } = domain.platform;
  if (lacks === undefined || call.notModelled !== undefined) return false;
  return lacks(call.name) || lacks(name);
}

function useArguments({ source }: AnyHypercall, { from, wide }: Frame): void {
  // As a rule they are the same as last time, and a reference that is written anew costs the collector's look at it.
  if (source.from !== from) source.from = from;
  source.wide = wide;
}

/** As manifests spell it: the call, and behind a dot its sub-operation. */
const entryName = (call: AnyHypercall, from: CallWords): string =>
  subOf(call, askedOf(call, from))?.entryName ?? call.name;

/** Its first argument, which is of 32 bits, says which one. */
const askedOf = (call: AnyHypercall, { words, at }: CallWords): number =>
  words[at[0]!]! & call.subMask;

const subOf = ({ subs }: AnyHypercall, asked: number): DefinedSub | null =>
  asked >= 0 && asked < subs.length ? subs[asked]! : null;

function plainArguments(args: Readonly<Record<string, unknown>>): Record<string, number | string> {
  const pairs = Object.entries(args).map(([name, value]) => {
    if (typeof value === 'number') return [name, value] as const;
    const { lo, hi } = value as Pair;
    return [name, `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`] as const;
  });
  return Object.fromEntries(pairs);
}

function answer(call: AnyHypercall, frame: Frame): CallResult {
  if ((call.callerBits & frame.callerBit) === 0) return -ENOSYS;
  useArguments(call, frame);
  const context = frame as CallFrame;
  if (context.call !== call) context.call = call;
  if (!call.plain) {
    const refused = refusal(call, context);
    if (refused !== 0) return refused;
  }
  if (call.handle !== undefined) return call.handle(context, call.values);
  return subOperation(call, context);
}

/** An error, below zero, or 0 to go on. */
function refusal(call: AnyHypercall, context: Call): number {
  if (call.notModelled !== undefined) return missing(context.domain, call.name);
  const error = call.first ? call.first(context, call.values) : 0;
  return error !== 0 || !call.refuse ? error : call.refuse[0];
}

function subOperation(call: AnyHypercall, context: CallFrame): CallResult {
  const { second } = call;
  const asked = askedOf(call, context.from);
  const sub = subOf(call, asked);
  if (sub === null || (sub.callerBits & context.callerBit) === 0) {
    logOnce(context.domain, `${call.name}: there is no sub-operation ${asked}`);
    return call.unknown ?? -ENOSYS;
  }
  const argument = second === null ? 0 : (argumentAt(second, call.source) as number);
  if (sub.plain) return sub.handle!(context, argument, call.values);
  if (sub.refuse) return sub.first?.(context, argument) || sub.refuse[0];
  return missing(context.domain, `${call.name} ${sub.name}`);
}

function missing(domain: XenDomain, what: string): number {
  logOnce(domain, `${what} is not modelled`);
  return -ENOSYS;
}
