// Calls of the guest: those that wait in its ring first, then the one that it makes now.

import { NO_ARGUMENTS } from '../seen.ts';
import { hcallArgs, LHCALL_RING_SIZE, lguestData } from './abi.ts';
import { killGuest, type LguestHost } from './host.ts';
import type { LguestCall } from './hypercalls/define.ts';
import * as defined from './hypercalls/index.gen.ts';
import { initialize } from './init.ts';

const RAX = 0;
/** EBX, ECX, EDX, ESI (arch/x86/include/asm/lguest_hcall.h, 2.6.32). */
const ARGUMENTS = [3, 1, 2, 6] as const;
const SLOT_FREE = 0xff;
const STATUS_AT = lguestData.offsetOf('hcall_status');
const CALLS_AT = lguestData.offsetOf('hcalls');

export const LGUEST_CALLS: ReadonlyMap<number, LguestCall> = new Map(
  Object.values(defined).map((call) => [call.number, call]),
);

type Words = readonly [number: number, a: number, b: number, c: number, d: number];

/** The guest has made a call; EIP stands behind it. Every register is as it was. */
export function doHypercalls(host: LguestHost): void {
  const { state, cpu } = host;
  state.called = true;
  const [a, b, c, d] = ARGUMENTS;
  const { state: vcpu } = cpu;
  const words: Words = [
    vcpu.gpr32(RAX),
    vcpu.gpr32(a),
    vcpu.gpr32(b),
    vcpu.gpr32(c),
    vcpu.gpr32(d),
  ];
  if (state.data < 0) return initialize(host, words[0], words[1]);
  drainRing(host);
  if (!state.dead) perform(host, words);
}

/** At most once round; a slot is the guest's again when its call is done. */
function drainRing(host: LguestHost): void {
  const { state, memory } = host;
  const statusAt = state.data + STATUS_AT;
  const callsAt = state.data + CALLS_AT;
  for (let n = 0; n < LHCALL_RING_SIZE && !state.dead; n++) {
    const slot = state.nextHcall;
    if (memory.u8(statusAt + slot) === SLOT_FREE) return;
    state.nextHcall = (slot + 1) % LHCALL_RING_SIZE;
    const at = callsAt + slot * hcallArgs.size;
    const word = (m: number) => memory.u32(at + 4 * m);
    perform(host, [word(0), word(1), word(2), word(3), word(4)]);
    memory.setU8(statusAt + slot, SLOT_FREE);
  }
}

function perform(host: LguestHost, [number, a, b, c, d]: Words): void {
  const call = LGUEST_CALLS.get(number);
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
