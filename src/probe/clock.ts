// The clock's interrupt in probes: armed for some time from now, and waited for.

import type { ProbeCode } from './define.ts';

/** Readings of the tick counter before nobody waits any longer: some hundred microseconds and more anywhere. */
const ROUNDS = 20_000;
/** A busy host is late with the timer of a machine that it emulates, but some time it comes. */
const PATIENCE = 50_000_000;
/** Where the local APIC says that the clock's vector, 0x20, waits (SDM 3A 11.8.4). */
const IRR = 0xfee00210;

export function armClock(a: ProbeCode, nanos: number): void {
  a.op('apic.setup_boot_clock').text(`mov eax, ${nanos}; call {word} ptr [ops.arm]`);
}

/** Until the counter has reached `ticks`, or for long. */
export function waitForTick(a: ProbeCode, ticks = 1): void {
  const [loop, done] = [a.fresh('wait'), a.fresh('wait')];
  a.text(`mov ecx, ${ROUNDS}; ${loop}:; cmp dword ptr [kernel.ticks], ${ticks}; jae ${done}`);
  a.text(`dec ecx; jne ${loop}; ${done}:`);
}

/** With interrupts off: until the interrupt waits, where that can be seen, or for long. One that comes ends it as well. */
export function waitForPending(a: ProbeCode): void {
  const [unseen, loop, done] = [a.fresh('unseen'), a.fresh('wait'), a.fresh('done')];
  a.text(`cmp dword ptr [kernel.pc], 0; je ${unseen}; mov ecx, ${PATIENCE}; mov edx, ${IRR}`);
  a.text(`${loop}:; cmp dword ptr [kernel.ticks], 1; jae ${done}; test dword ptr [{dx}], 1`);
  a.text(`jne ${done}; dec ecx; jne ${loop}; ${unseen}:`);
  waitForTick(a);
  a.text(`${done}:`);
}
