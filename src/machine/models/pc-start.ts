// How a pc's processor begins: the hole for graphics memory, and the state at the reset vector.

import type { Cpu } from '../../cpu/core.ts';
import { CS, setSegmentTo } from '../../cpu/descriptors.ts';
import { FRAME_MMIO } from '../../cpu/frames.ts';
import { reset } from '../../cpu/reset.ts';

const PAGE = 4096;
const GRAPHICS = { first: 0xa0000, end: 0xc0000 } as const;
const RESET_SELECTOR = 0xf000;
const PRESENT_CODE = 0x9b;

/** No graphics adapter: what lies from 640 K to 768 K floats. */
export function closeGraphicsHole(cpu: Cpu): void {
  for (let gpa = GRAPHICS.first; gpa < GRAPHICS.end; gpa += PAGE) {
    cpu.mmu.setFrame(gpa / PAGE, FRAME_MMIO);
  }
}

/**
 * Reset, with the first instruction at f000:fff0 (SDM 3A 10.1.4). Deviates: the base of CS is 0xf0000 instead of
 * 0xffff0000, because code runs in RAM only; the same bytes lie there.
 */
export function enterRom(cpu: Cpu): void {
  reset(cpu.state);
  setSegmentTo(cpu.state, CS, RESET_SELECTOR, RESET_SELECTOR * 16, 0xffff, PRESENT_CODE);
  cpu.stateChanged();
}
