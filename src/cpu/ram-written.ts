// Writes to RAM that do not come from the CPU: decoded code of those bytes is stale, and the state hash looks at their frames.

import type { Cpu } from './core.ts';
import { FRAME_CODE, FRAME_DIRTY } from './frames.ts';

const FRAME_SHIFT = 12;

/** To be told of each, as `GuestRam` does. */
export function ramListener(cpu: Cpu): (gpa: number, bytes: number) => void {
  const { layout, mmu, views } = cpu;
  return (gpa, bytes) => {
    const first = gpa >>> FRAME_SHIFT;
    const last = (gpa + bytes - 1) >>> FRAME_SHIFT;
    // Most writes are small, to a frame that is known to be written and holds no code.
    const attr = views.u8[layout.frameAttrs + first]!;
    if (first === last && (attr & (FRAME_CODE | FRAME_DIRTY)) === FRAME_DIRTY) return;
    cpu.ramWritten(gpa, bytes);
    for (let frame = first; frame <= last; frame++) mmu.setFrame(frame, FRAME_DIRTY);
  };
}
