// Calls in the form of before Xen 3.0.3: one structure, the command its first word, and behind it what the command wants.

import { type Call, type Frame, ownWords } from '../xen/define.ts';

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
  const from = ownWords();
  const [first, second] = from.at as [number, number];
  from.words[first] = command;
  from.words[second] = inner;
  from.words[second + 1] = call.wide ? Math.floor(inner / 4294967296) : 0;
  return { command, frame: call.frame.within(from, call.frame.nested) };
}
