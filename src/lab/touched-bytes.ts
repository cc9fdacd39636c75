// How much of a guest's RAM was ever written, by itself or for it.

import type { Cpu } from '../cpu/core.ts';
import { FRAME_DIRTY } from '../cpu/frames.ts';

const FRAME_BYTES = 4096;

export function touchedBytes({ layout, views }: Cpu): number {
  let frames = 0;
  for (let frame = 0; frame < layout.ramBytes / FRAME_BYTES; frame++) {
    if (views.u8[layout.frameAttrs + frame]! & FRAME_DIRTY) frames++;
  }
  return frames * FRAME_BYTES;
}
