// The shape of an lguest call: its number, its arguments by name, and what it does. None returns anything.

import type { LguestHost } from '../host.ts';

export interface LguestCall {
  readonly number: number;
  /** As arch/x86/include/asm/lguest_hcall.h spells it. */
  readonly name: string;
  readonly ref: string;
  /** What EBX, ECX, EDX and ESI are, in this order; those that are not named hold anything. */
  readonly args: readonly string[];
  /** PAE kernels only: to others it is no call. */
  readonly paeOnly?: boolean;
  handle(host: LguestHost, arg1: number, arg2: number, arg3: number, arg4: number): void;
}

export function defineCall(call: LguestCall): LguestCall {
  return call;
}
