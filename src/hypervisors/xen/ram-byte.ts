// One byte of RAM that a guest shares with Xen, written as often as events come.

import { FRAME_CODE, FRAME_DIRTY } from '../../cpu/frames.ts';
import type { Platform } from '../define.ts';

const LOOKED_AT = FRAME_CODE | FRAME_DIRTY;
const DIRTY = FRAME_DIRTY;

/** Directly, where the frame is known to be written and holds no code: nobody has to hear of it then. */
export function putRamByte(
  { cpu, ram }: Pick<Platform, 'cpu' | 'ram'>,
  at: number,
  value: number,
): void {
  const { layout, views } = cpu;
  const attr = views.u8[layout.frameAttrs + (at >>> 12)]!;
  if ((attr & LOOKED_AT) === DIRTY) views.u8[layout.ramBase + at] = value;
  else ram.setU8(at, value);
}
