// Calls in the form of before Xen 3.0.3: one structure, the command its first word, and behind it what the command wants.

import type { Call, Frame } from '../xen/define.ts';

export interface CommandFirst {
  readonly command: number;
  /** The same call in today's form. */
  readonly frame: Frame;
}

/** `offset`: where the command's own structure begins. Null: it cannot be read. */
export function commandAndStructure(call: Call, at: number, offset: number): CommandFirst | null {
  const command = call.guest.u32(at);
  if (command === null) return null;
  const inner = at + offset;
  const pointer = { lo: inner >>> 0, hi: call.wide ? Math.floor(inner / 4294967296) >>> 0 : 0 };
  return { command, frame: { ...call.frame, words: [{ lo: command, hi: 0 }, pointer] } };
}
