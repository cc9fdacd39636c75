// The call itself: number and arguments out of registers, the right to call, the result into RAX, and going on later.

import type { Pair } from '../../base/struct.ts';
import { GPR_AT } from '../../cpu/state.ts';
import { NO_ARGUMENTS } from '../seen.ts';
import { ENOSYS } from './abi/errno.ts';
import {
  type AnyHypercall,
  type ArgumentPlace,
  argumentAt,
  type Call,
  type Caller,
  type CallResult,
  CONTINUE,
  callerBit,
  type Frame,
  type HypercallTable,
  LEFT,
  type SubOperation,
  type Word,
} from './define.ts';
import { logOnce, type XenDomain, type XenVcpu } from './domain.ts';
import { GuestView } from './guest-view.ts';

const RAX = 0;
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
  const registers = wide ? REGISTERS.wide : REGISTERS.narrow;
  const { words } = vcpu;
  const { u32 } = state.views;
  for (let n = 0; n < registers.length; n++) {
    const i = (state.base + GPR_AT + registers[n]! * 8) >> 2;
    const word = words[n]!;
    word.lo = u32[i]!;
    word.hi = wide ? u32[i + 1]! : 0;
  }
  domain.state.called = true;
  const frame = frameOf(domain, vcpu, table, caller, wide);
  const named = !wide || state.gprHigh(RAX) === 0;
  const result = perform(frame, named ? state.gpr32(RAX) : -1);
  if (typeof result === 'number') {
    if (wide) state.setGprSigned(RAX, result);
    else state.setGpr32(RAX, result >>> 0);
    return;
  }
  if (result === LEFT) return;
  for (let n = 0; n < registers.length; n++) {
    const { lo, hi } = words[n]!;
    state.setGprHalves(registers[n]!, lo, wide ? hi : 0);
  }
  domain.guest.rewind();
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
  const frame = new CallFrame(domain, vcpu, table, caller, wide, vcpu.words, false);
  if (wide) frames.wide = frame;
  else frames.narrow = frame;
  return frame;
}

/** One call under way, as its handler reaches it and as it goes on later. */
class CallFrame implements Frame, Call {
  readonly domain: XenDomain;
  readonly vcpu: XenVcpu;
  readonly table: HypercallTable;
  readonly caller: Caller;
  readonly wide: boolean;
  readonly words: Word[];
  readonly nested: boolean;
  readonly guest: GuestView;
  /** The call that `words` are the arguments of. */
  call: AnyHypercall | null = null;

  constructor(
    domain: XenDomain,
    vcpu: XenVcpu,
    table: HypercallTable,
    caller: Caller,
    wide: boolean,
    words: Word[],
    nested: boolean,
  ) {
    this.domain = domain;
    this.vcpu = vcpu;
    this.table = table;
    this.caller = caller;
    this.wide = wide;
    this.words = words;
    this.nested = nested;
    this.guest = new GuestView(domain.guest, wide);
  }

  get frame(): Frame {
    return this;
  }

  within(words: Word[]): Frame {
    const { domain, vcpu, table, caller, wide } = this;
    return new CallFrame(domain, vcpu, table, caller, wide, words, true);
  }

  continueLater(changed: Readonly<Record<string, number>>): typeof CONTINUE {
    for (const { name, wideAt, narrowAt } of this.call!.order) {
      const value = changed[name];
      if (value === undefined) continue;
      const word = this.words[this.wide ? wideAt : narrowAt]!;
      word.lo = value >>> 0;
      word.hi = this.wide ? Math.floor(value / 0x1_0000_0000) >>> 0 : 0;
    }
    return CONTINUE;
  }
}

/** One call, whose arguments lie in `frame.words`. */
export function perform(frame: Frame, number: number): CallResult {
  const { seen, lacks, onlyCounted } = frame.domain.platform;
  const call = frame.table.get(number);
  if (call) {
    call.source.words = frame.words;
    call.source.wide = frame.wide;
  }
  const allowed = call !== null && (call.callerBits & callerBit(frame.caller)) !== 0;
  if (!seen) return allowed ? answer(call, frame, lacks ? entryName(call) : '') : -ENOSYS;
  // Before it is answered: a call that continues changes its words.
  const name = call ? entryName(call) : `hypercall ${number}`;
  const args = onlyCounted || !call ? NO_ARGUMENTS : plainArguments(call.values);
  const result = allowed ? answer(call, frame, name) : -ENOSYS;
  const effect = typeof result === 'number' ? result : UNANSWERED[result];
  seen(name, args, effect, undefined, frame.nested ? 'multicall' : undefined);
  return result;
}

/** As manifests spell it: the call, and behind a dot its sub-operation. */
function entryName(call: AnyHypercall): string {
  const [first] = call.order;
  if (!first || call.entryNames.size === 0) return call.name;
  return call.entryNames.get(subNumber(call, first)) ?? call.name;
}

const subNumber = (call: AnyHypercall, first: ArgumentPlace): number =>
  (call.subMask ?? -1) & (argumentAt(first, call.source) as number);

function plainArguments(args: Readonly<Record<string, unknown>>): Record<string, number | string> {
  const pairs = Object.entries(args).map(([name, value]) => {
    if (typeof value === 'number') return [name, value] as const;
    const { lo, hi } = value as Pair;
    return [name, `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`] as const;
  });
  return Object.fromEntries(pairs);
}

function answer(call: AnyHypercall, frame: Frame, name: string): CallResult {
  if (call.notModelled) return missing(frame.domain, call.name);
  const { lacks } = frame.domain.platform;
  // Without one sub-operation the call itself is still there.
  if (lacks?.(call.name) || lacks?.(name)) return -ENOSYS;
  const context = frame as CallFrame;
  context.call = call;
  const error = call.first ? call.first(context, call.values) : 0;
  if (error !== 0) return error;
  if (call.refuse) return call.refuse[0];
  if (call.handle) return call.handle(context, call.values);
  return subOperation(call, context);
}

function subOperation(call: AnyHypercall, context: Call): CallResult {
  const [first, second] = call.order;
  const asked = subNumber(call, first!);
  const sub: SubOperation | undefined = call.subOperations?.[asked];
  if (!sub || (sub.callers && !sub.callers.includes(context.caller))) {
    logOnce(context.domain, `${call.name}: there is no sub-operation ${asked}`);
    return call.unknown ?? -ENOSYS;
  }
  const argument = second ? (argumentAt(second, call.source) as number) : 0;
  if (sub.refuse) return sub.first?.(context, argument) || sub.refuse[0];
  if (sub.handle) return sub.handle(context, argument, call.values);
  return missing(context.domain, `${call.name} ${sub.name}`);
}

function missing(domain: XenDomain, what: string): number {
  logOnce(domain, `${what} is not modelled`);
  return -ENOSYS;
}
