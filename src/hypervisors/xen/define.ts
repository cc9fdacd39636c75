// What a hypercall is: number, name, source, who may call it, typed arguments, sub-operations, and what it does.

import { bug } from '../../base/errors.ts';
import type { Pair } from '../../base/struct.ts';
import { EFAULT } from './abi/errno.ts';
import type { XenFields, XenStruct } from './abi/layout.ts';
import type { XenDomain, XenVcpu } from './domain.ts';
import type { GuestView } from './guest-view.ts';

/** Who calls: a PV guest of 64 or 32 bits, or one in a hardware container (PVH), whatever its mode. */
export type Caller = 'pv64' | 'pv32' | 'hvm';

/**
 * Arguments as C declares them. `gva` is a guest pointer: a signed number, as the MMU takes it. `u64` takes two registers of
 * a 32-bit guest. `ulong` beyond 2^53 is not exact, and no such value is valid anywhere.
 */
export interface ArgumentTypes {
  readonly u32: number;
  readonly s32: number;
  readonly gva: number;
  readonly ulong: number;
  readonly u64: Pair;
}
export type ArgumentKind = keyof ArgumentTypes;
export type ArgumentKinds = { readonly [name: string]: ArgumentKind };
export type ArgumentValues<A extends ArgumentKinds> = {
  readonly [K in keyof A]: ArgumentTypes[A[K]];
};

/** The call is to be made again: RIP is put back to it, with arguments that say how far it has come. */
export const CONTINUE = Symbol('continue');
/** The call is left for good: the registers are what it has made of them, and nothing is answered. */
export const LEFT = Symbol('left');
/** What goes into the result register, or an error below zero. */
export type CallResult = number | typeof CONTINUE | typeof LEFT;

/** What a handler may reach. */
export interface Call {
  readonly domain: XenDomain;
  readonly vcpu: XenVcpu;
  /** The caller's memory, by its virtual addresses, in its word size. */
  readonly guest: GuestView;
  readonly caller: Caller;
  /** The caller runs 64-bit code. */
  readonly wide: boolean;
  /** The raw call, for calls that make others. */
  readonly frame: Frame;
  /**
   * No call does unbounded work: it ends here and goes on with the arguments named, the others as they were. Events are
   * delivered in between, as with Xen's own continuations.
   */
  continueLater(changed: Readonly<Record<string, number>>): typeof CONTINUE;
}

/** One sub-operation, in exactly one of three states, which the interface's page lists. */
export interface SubOperation {
  readonly name: string;
  /** Done. `argument` is the call's pointer, or whatever its second argument is. */
  readonly handle?: (
    call: Call,
    argument: number,
    args: Readonly<Record<string, number>>,
  ) => CallResult;
  /** Refused to guests like ours, or altogether: the error, below zero, and why. */
  readonly refuse?: readonly [error: number, why: string];
  /** What is looked at before a refusal: its error, below zero, goes first. */
  readonly first?: (call: Call, argument: number) => number;
  /** Not modelled: -ENOSYS, and a line in the log. */
  readonly notModelled?: string;
  readonly callers?: readonly Caller[];
}
export type SubOperations = { readonly [number: number]: SubOperation };

/** What a call may be asked that its handler tells apart itself: an entry of its array, or a later argument. */
export type Request = Pick<SubOperation, 'name' | 'refuse' | 'callers'>;
export type Requests = { readonly [number: number]: Request };

export interface XenHypercall<A extends ArgumentKinds = ArgumentKinds> {
  readonly number: number;
  readonly name: string;
  /** Header and name below xen/include/public. */
  readonly ref: string;
  readonly callers: readonly Caller[];
  readonly args: A;
  readonly handle?: (call: Call, args: ArgumentValues<A>) => CallResult;
  /** Without `handle`: the first argument chooses one of these; it must be a `u32` or `s32`. */
  readonly subOperations?: SubOperations;
  /** Beside `handle`: which requests there are, by their numbers. */
  readonly requests?: Requests;
  /** Where a request's number stands: in this argument, or else in these bits of the first word of an entry. */
  readonly requestAt?: { readonly argument?: number; readonly mask?: number };
  /** The answer to a sub-operation that is not in the table. -ENOSYS if not given. */
  readonly unknown?: number;
  /** Sub-operations are chosen by these bits of the first argument only. All of them if not given. */
  readonly subMask?: number;
  /** What is looked at before all else, whatever the sub-operation is: an error, below zero, goes first. */
  readonly first?: (call: Call, args: ArgumentValues<A>) => number;
  /** The whole call is refused. */
  readonly refuse?: readonly [error: number, why: string];
  readonly notModelled?: string;
  /** It ends neither the domain nor the vCPU's life, and arms no breakpoints: it may be answered without leaving the CPU. */
  readonly inPlace?: true;
}

/** Raw arguments: 32-bit words, of which argument n begins with number `at[n]`; the next one is its high half in 64-bit code. */
export interface CallWords {
  readonly words: Int32Array;
  readonly at: readonly number[];
}
/** Registers that can carry arguments. */
export const MOST_ARGUMENTS = 6;

/** What the arguments of a call are read from. */
export interface ArgumentSource {
  from: CallWords;
  wide: boolean;
}

/** Where an argument lies among the words of a call: a `u64` takes two of a 32-bit guest's. */
export interface ArgumentPlace {
  readonly name: string;
  readonly kind: ArgumentKind;
  readonly wideAt: number;
  readonly narrowAt: number;
}

/** A sub-operation; those of a call stand by their numbers, which are small. */
export interface DefinedSub extends SubOperation {
  /** As manifests spell it: the call, a dot, and the name. */
  readonly entryName: string;
  /** `callers`, or all of them, by `callerBit`. */
  readonly callerBits: number;
  /** There is nothing to look at before `handle`. */
  readonly plain: boolean;
}

export interface DefinedHypercall<A extends ArgumentKinds = ArgumentKinds> extends XenHypercall<A> {
  /** `args` in their order. */
  readonly order: readonly ArgumentPlace[];
  /** `subOperations` by number; none if there are none. */
  readonly subs: readonly (DefinedSub | null)[];
  /** Of a call with sub-operations: the second argument, which they all have; null if it takes none. */
  readonly second: ArgumentPlace | null;
  /** It is not refused as a whole, and nothing is looked at before `handle` or a sub-operation. */
  readonly plain: boolean;
  /** The arguments as a handler sees them, of whatever call `source` is set to; read when they are asked for. */
  readonly values: ArgumentValues<A>;
  readonly source: ArgumentSource;
  /** `callers`, by `callerBit`. */
  readonly callerBits: number;
  readonly subMask: number;
}

export function defineHypercall<const A extends ArgumentKinds>(
  call: XenHypercall<A>,
): DefinedHypercall<A> {
  let narrowAt = 0;
  const order = Object.entries<ArgumentKind>(call.args).map(([name, kind], wideAt) => {
    const place = { name, kind, wideAt, narrowAt };
    narrowAt += kind === 'u64' ? 2 : 1;
    return place;
  });
  if (narrowAt > MOST_ARGUMENTS) bug(`hypercall ${call.name} has too many arguments`);
  const source: ArgumentSource = { from: ownWords(), wide: true };
  const { number, name, ref, callers, args, handle, unknown, subMask = -1, first } = call;
  const { refuse, notModelled, inPlace, requests, requestAt } = call;
  const { subOperations } = call;
  const subs = subsOf(name, subOperations);
  const second = order[1] ?? null;
  const callerBits = callerBitsOf(callers);
  const values = valuesOf<A>(order, source);
  const plain = first === undefined && refuse === undefined && notModelled === undefined;
  // biome-ignore format: a line for what the call says, and one for what is worked out.
  const whole: Whole<DefinedHypercall<A>> = {
    number, name, ref, callers, args, handle, unknown, subMask, first, refuse, notModelled, inPlace, requests, requestAt,
    subOperations, callerBits, order, values, source, subs, second, plain,
  };
  return whole as DefinedHypercall<A>;
}

/** All members, whether there is something in them or not: objects of one shape, whose members V8 finds at once. */
type Whole<T> = { readonly [K in keyof Required<T>]: T[K] | undefined };

function subsOf(call: string, subOperations: SubOperations = {}): (DefinedSub | null)[] {
  const subs: (DefinedSub | null)[] = [];
  for (const [number, sub] of Object.entries(subOperations)) {
    while (subs.length <= Number(number)) subs.push(null);
    subs[Number(number)] = inOneShape(call, sub);
  }
  return subs;
}

function inOneShape(call: string, sub: SubOperation): DefinedSub {
  const entryName = `${call}.${sub.name}`;
  const { name, handle, refuse, first, notModelled, callers } = sub;
  const callerBits = callers ? callerBitsOf(callers) : -1;
  const plain = handle !== undefined && refuse === undefined;
  // biome-ignore format: as above.
  const whole: Whole<DefinedSub> = { name, handle, refuse, first, notModelled, callers, callerBits, plain, entryName };
  return whole as DefinedSub;
}

const callerBitsOf = (callers: readonly Caller[]): number =>
  callers.reduce((bits, caller) => bits | callerBit(caller), 0);

export const callerBit = (caller: Caller): number =>
  caller === 'pv64' ? 1 : caller === 'pv32' ? 2 : 4;

/** One object for all calls: to make one with its members for each would cost more than most calls do. */
function valuesOf<A extends ArgumentKinds>(
  order: readonly ArgumentPlace[],
  source: ArgumentSource,
): ArgumentValues<A> {
  const values = {};
  for (const place of order) {
    const get = () => argumentAt(place, source);
    Object.defineProperty(values, place.name, { enumerable: true, get });
  }
  return values as ArgumentValues<A>;
}

export function argumentAt(
  { kind, wideAt, narrowAt }: ArgumentPlace,
  { from: { words, at }, wide }: ArgumentSource,
): number | Pair {
  const i = at[wide ? wideAt : narrowAt]!;
  const lo = words[i]!;
  if (kind === 'gva') return wide ? words[i + 1]! * 0x1_0000_0000 + (lo >>> 0) : lo >>> 0;
  switch (kind) {
    case 'u32':
      return lo >>> 0;
    case 's32':
      return lo;
    case 'u64':
      return { lo: lo >>> 0, hi: words[wide ? i + 1 : at[narrowAt + 1]!]! >>> 0 };
    case 'ulong':
      return wide ? (words[i + 1]! >>> 0) * 0x1_0000_0000 + (lo >>> 0) : lo >>> 0;
  }
}

/** Words that are neither registers nor the guest's, all 0. */
export const ownWords = (): CallWords => ({
  words: new Int32Array(2 * MOST_ARGUMENTS),
  at: Array.from({ length: MOST_ARGUMENTS }, (_, n) => 2 * n),
});

/** The structure that a call points to can be read: what is refused is refused for what it says, and -EFAULT goes first. */
export const readable =
  <F extends XenFields>(type: XenStruct<F>) =>
  ({ guest }: Call, at: number): number =>
    guest.read(type, at) ? 0 : -EFAULT;

// biome-ignore lint/suspicious/noExplicitAny: calls of any arguments; `perform` gives each its own.
export type AnyHypercall = DefinedHypercall<any>;
export interface HypercallTable {
  /** The call of that number, null if there is none: any number may be asked for. */
  get(number: number): AnyHypercall | null;
  /** All of them, by number. */
  values(): readonly AnyHypercall[];
}

/** A call under way, raw. */
export interface Frame {
  readonly domain: XenDomain;
  readonly vcpu: XenVcpu;
  readonly table: HypercallTable;
  readonly caller: Caller;
  readonly wide: boolean;
  /** `caller`, by `callerBit`. */
  readonly callerBit: number;
  /** Its arguments; a call that continues changes them. */
  readonly from: CallWords;
  /** The call is an entry of a multicall. */
  readonly nested: boolean;
  /** If it is a multicall: what its entries are called through; null before the first. */
  entry: Frame | null;
  /** Another one of this one's caller; `nested`: an entry of a multicall. */
  within(from: CallWords, nested: boolean): Frame;
}
