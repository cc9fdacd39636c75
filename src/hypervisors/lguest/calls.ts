// Calls of the guest: those that wait in its ring first, then the one that it makes now.

import { NO_ARGUMENTS } from '../seen.ts';
import { hcallArgs, LHCALL_RING_SIZE, lguestData } from './abi.ts';
import { killGuest, type LguestHost } from './host.ts';
import type { LguestCall } from './hypercalls/define.ts';
import * as defined from './hypercalls/index.gen.ts';
import { initialize } from './init.ts';

const RAX = 0;
/** What arguments are in, in this order: EBX, ECX, EDX, ESI (arch/x86/include/asm/lguest_hcall.h, 2.6.32). */
const [RBX, RCX, RDX, RSI] = [3, 1, 2, 6];
const SLOT_FREE = 0xff;
const STATUS_AT = lguestData.offsetOf('hcall_status');
const CALLS_AT = lguestData.offsetOf('hcalls');

export const LGUEST_CALLS: ReadonlyMap<number, LguestCall> = new Map(
  Object.values(defined).map((call) => [call.number, call]),
);

/** The same by number, of which only small ones are known. */
const BY_NUMBER = Array.from(
  { length: Math.max(...LGUEST_CALLS.keys()) + 1 },
  (_, number) => LGUEST_CALLS.get(number) ?? null,
);

/** The guest has made a call; EIP stands behind it. Every register is as it was. */
export function doHypercalls(host: LguestHost): void {
  const { state, cpu } = host;
  state.called = true;
  const { state: vcpu } = cpu;
  const [number, a] = [vcpu.gpr32(RAX), vcpu.gpr32(RBX)];
  if (state.data < 0) return initialize(host, number, a);
  drainRing(host);
  if (state.dead) return;
  perform(host, number, a, vcpu.gpr32(RCX), vcpu.gpr32(RDX), vcpu.gpr32(RSI));
}

/** At most once round; a slot is the guest's again when its call is done. */
function drainRing(host: LguestHost): void {
  const { state, memory } = host;
  const statusAt = state.data + STATUS_AT;
  const callsAt = state.data + CALLS_AT;
  for (let n = 0; n < LHCALL_RING_SIZE && !state.dead; n++) {
    const slot = state.nextHcall;
    if (host.view.getUint8(host.ramBase + statusAt + slot) === SLOT_FREE) return;
    state.nextHcall = (slot + 1) % LHCALL_RING_SIZE;
    const at = callsAt + slot * hcallArgs.size;
    const [number, a, b] = [memory.u32(at), memory.u32(at + 4), memory.u32(at + 8)];
    perform(host, number, a, b, memory.u32(at + 12), memory.u32(at + 16));
    memory.setU8(statusAt + slot, SLOT_FREE);
  }
}

function perform(
  host: LguestHost,
  number: number,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  const call = number < BY_NUMBER.length ? BY_NUMBER[number]! : null;
  const { seen, onlyCounted, lacks } = host.platform;
  if (!call || (call.paeOnly && !host.state.pae) || lacks?.(call.name))
    return killGuest(host, `Bad hypercall ${number | 0}`);
  call.handle(host, a, b, c, d);
  if (!seen) return;
  const args = onlyCounted ? NO_ARGUMENTS : argumentsOf(call, [a, b, c, d]);
  seen(call.name, args, host.state.dead ? 'the guest is ended' : null);
}

function argumentsOf(call: LguestCall, values: readonly number[]): Record<string, number> {
  return Object.fromEntries(call.args.map((name, n) => [name, values[n]!]));
}
