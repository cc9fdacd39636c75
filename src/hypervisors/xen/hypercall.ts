// The call itself: number and arguments out of registers, the right to call, the result into RAX, and going on later.

import type { Pair } from '../../base/struct.ts';
import type { State } from '../../cpu/state.ts';
import { ENOSYS } from './abi/errno.ts';
import {
  type AnyHypercall,
  type ArgumentKind,
  type Call,
  type Caller,
  type CallResult,
  CONTINUE,
  type Frame,
  type HypercallTable,
  type SubOperation,
} from './define.ts';
import { logOnce, type XenDomain, type XenVcpu } from './domain.ts';
import { GuestView } from './guest-view.ts';

const RAX = 0;
/** RDI RSI RDX R10 R8 R9, and EBX ECX EDX ESI EDI EBP (arch-x86/xen-x86_64.h, xen-x86_32.h). */
const REGISTERS = { wide: [7, 6, 2, 10, 8, 9], narrow: [3, 1, 2, 6, 7, 5] } as const;

/** Who calls what: the calls of a table are those that the caller has. */
export function hypercallTable(calls: readonly AnyHypercall[]): HypercallTable {
  return new Map(calls.map((call) => [call.number, call]));
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
  const word = (n: number) => readWord(state, n, wide);
  const { lo, hi } = word(RAX);
  const words = registers.map(word);
  const frame: Frame = { domain, vcpu, table, caller, wide, words, nested: false };
  domain.state.called = true;
  const result = perform(frame, hi === 0 ? lo : -1);
  if (result !== CONTINUE) {
    const bits = BigInt(result);
    if (wide) state.setGpr(RAX, BigInt.asUintN(64, bits));
    else state.setGpr32(RAX, Number(BigInt.asUintN(32, bits)));
    return;
  }
  registers.forEach((register, n) => {
    const { lo, hi } = frame.words[n]!;
    if (wide) state.setGpr(register, (BigInt(hi) << 32n) | BigInt(lo));
    else state.setGpr32(register, lo);
  });
  domain.guest.rewind();
}

/** One call, whose arguments lie in `frame.words`. */
export function perform(frame: Frame, number: number): CallResult {
  const { seen } = frame.domain.platform;
  if (!seen) return performUnseen(frame, number);
  const call = frame.table.get(number);
  const args = call ? decode(call, frame) : {}; // A call that continues changes its words.
  const result = performUnseen(frame, number);
  const effect = result === CONTINUE ? 'to be continued' : result;
  const name = call ? entryName(call, args) : `hypercall ${number}`;
  seen(name, plainArguments(args), effect, undefined, frame.nested ? 'multicall' : undefined);
  return result;
}

/** As manifests spell it: the call, and behind a dot its sub-operation. */
function entryName(call: AnyHypercall, args: Readonly<Record<string, unknown>>): string {
  const first = Object.values(args)[0];
  if (!call.subOperations || typeof first !== 'number') return call.name;
  const sub = call.subOperations[(call.subMask ?? -1) & first];
  return sub ? `${call.name}.${sub.name}` : call.name;
}

function plainArguments(args: Readonly<Record<string, unknown>>): Record<string, number | string> {
  const pairs = Object.entries(args).map(([name, value]) => {
    if (typeof value === 'number') return [name, value] as const;
    const { lo, hi } = value as Pair;
    return [name, `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`] as const;
  });
  return Object.fromEntries(pairs);
}

function performUnseen(frame: Frame, number: number): CallResult {
  const call = frame.table.get(number);
  if (!call?.callers.includes(frame.caller)) return -ENOSYS;
  if (call.refuse) return call.refuse[0];
  if (call.notModelled) return missing(frame.domain, call.name);
  const args = decode(call, frame);
  const { lacks } = frame.domain.platform;
  // Without one sub-operation the call itself is still there.
  if (lacks?.(call.name) || lacks?.(entryName(call, args))) return -ENOSYS;
  const context = callContext(call, frame);
  if (call.handle) return call.handle(context, args);
  return subOperation(call, context, args);
}

function subOperation(call: AnyHypercall, context: Call, args: Record<string, number>): CallResult {
  const [first = '', second = ''] = Object.keys(call.args);
  const asked = (call.subMask ?? -1) & args[first]!;
  const sub: SubOperation | undefined = call.subOperations?.[asked];
  if (!sub || (sub.callers && !sub.callers.includes(context.caller))) {
    logOnce(context.domain, `${call.name}: there is no sub-operation ${asked}`);
    return call.unknown ?? -ENOSYS;
  }
  if (sub.refuse) return sub.refuse[0];
  if (sub.handle) return sub.handle(context, args[second] ?? 0, args);
  return missing(context.domain, `${call.name} ${sub.name}`);
}

function missing(domain: XenDomain, what: string): number {
  logOnce(domain, `${what} is not modelled`);
  return -ENOSYS;
}

function callContext(call: AnyHypercall, frame: Frame): Call {
  const { domain, vcpu, caller, wide } = frame;
  return {
    domain,
    vcpu,
    caller,
    wide,
    frame,
    guest: new GuestView(domain.guest, wide),
    continueLater(changed) {
      let at = 0;
      for (const [name, kind] of Object.entries<ArgumentKind>(call.args)) {
        const value = changed[name];
        if (value !== undefined) frame.words[at] = pairOf(value, wide);
        at += kind === 'u64' && !wide ? 2 : 1;
      }
      return CONTINUE;
    },
  };
}

function decode(call: AnyHypercall, { words, wide }: Frame): Record<string, never> {
  const args: Record<string, unknown> = {};
  let at = 0;
  for (const [name, kind] of Object.entries<ArgumentKind>(call.args)) {
    const word = words[at] ?? { lo: 0, hi: 0 };
    const next = words[at + 1] ?? { lo: 0, hi: 0 };
    args[name] = argument(kind, word, next.lo, wide);
    at += kind === 'u64' && !wide ? 2 : 1;
  }
  return args as Record<string, never>;
}

function argument(kind: ArgumentKind, { lo, hi }: Pair, nextLo: number, wide: boolean): unknown {
  switch (kind) {
    case 'u32':
      return lo;
    case 's32':
      return lo | 0;
    case 'u64':
      return { lo, hi: wide ? hi : nextLo };
    case 'gva':
      return wide ? (hi | 0) * 0x1_0000_0000 + lo : lo;
    case 'ulong':
      return wide ? hi * 0x1_0000_0000 + lo : lo;
  }
}

function readWord(state: State, register: number, wide: boolean): Pair {
  const value = state.gpr(register);
  return { lo: Number(value & 0xffff_ffffn), hi: wide ? Number(value >> 32n) : 0 };
}

function pairOf(value: number, wide: boolean): Pair {
  return { lo: value >>> 0, hi: wide ? Math.floor(value / 0x1_0000_0000) >>> 0 : 0 };
}
