// The clock's interrupt in probes: armed for some time from now, and waited for.

import type { ProbeCode } from './define.ts';

/** Readings of the tick counter before nobody waits any longer: more than a busy host is late with a timer of its own. */
const ROUNDS = 150_000;

export function armClock(a: ProbeCode, nanos: number): void {
  a.op('apic.setup_boot_clock').text(`mov eax, ${nanos}; call {word} ptr [ops.arm]`);
}

/** Until the counter has reached `ticks`, or for long. */
export function waitForTick(a: ProbeCode, ticks = 1): void {
  const [loop, done] = [a.fresh('wait'), a.fresh('wait')];
  a.text(`mov ecx, ${ROUNDS}; ${loop}:; cmp dword ptr [kernel.ticks], ${ticks}; jae ${done}`);
  a.text(`dec ecx; jne ${loop}; ${done}:`);
}
