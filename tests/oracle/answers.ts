// What a machine said over the serial line, as one readable line for each program.

import { SLOTS } from './kernel.ts';
import * as at from './layout.ts';

/** Answers by the program's number; a program that started and did not report is `stopped`. */
export interface Answers {
  readonly lines: ReadonlyMap<number, string>;
  /** The program during which the machine stopped. */
  readonly stopped: number | null;
  readonly finished: boolean;
}

export const SHUTDOWN = 'shutdown';

export function parseAnswers(text: string): Answers {
  const lines = new Map<number, string>();
  let current: number | null = null;
  let events: string[] = [];
  let finished = false;
  const close = () => {
    if (current !== null && events.length > 0) lines.set(current, events.join(' | '));
    events = [];
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('@')) {
      close();
      current = Number.parseInt(line.slice(1), 16);
    } else if (line.startsWith(':')) events.push(describe(slotsOf(line.slice(1))));
    else if (line.startsWith('#')) finished = true;
  }
  const last = events.length === 0 && !finished ? current : null;
  close();
  return { lines, stopped: last, finished };
}

/** The events of one program as memory holds them. */
export function answerOf(events: readonly BigUint64Array[]): string {
  return events.map((slots) => describe(new Map(slots.entries()))).join(' | ');
}

function slotsOf(line: string): Map<number, bigint> {
  const slots = new Map<number, bigint>();
  for (const part of line.split(',').filter((text) => text.includes('='))) {
    const [slot = '', value = ''] = part.split('=');
    const [high, low] = value.includes('_') ? value.split('_') : ['0', value];
    const number = (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
    slots.set(Number.parseInt(slot, 16), number);
  }
  return slots;
}

const GENERAL = ['ax', 'cx', 'dx', 'bx', 'bp', 'si', 'di'] as const;
const DEBUG = 1;
const PAGE_FAULT = 14;
const FRAME_WORDS = 12;

/** `#13/32 [8 20010 8 2] sp=c7f0 cs=8 ss=10 ...`; registers that are zero and ordinary data segments are left out. */
function describe(slots: ReadonlyMap<number, bigint>): string {
  const get = (slot: number) => slots.get(slot) ?? 0n;
  const kind = Number(get(SLOTS.vector));
  const vector = kind & 0xff;
  const size = (kind >> 16) * 16;
  const words = Array.from({ length: FRAME_WORDS }, (_, n) => get(SLOTS.frame + n));
  while (words.at(-1) === 0n) words.pop();
  const shown = (name: string, value: bigint) => `${name}=${value.toString(16)}`;
  const parts = [vector === at.DONE ? `done/${size}` : `#${vector}/${size}`];
  parts.push(`[${words.map((word) => word.toString(16)).join(' ')}]`);
  if (vector === PAGE_FAULT) parts.push(shown('cr2', get(SLOTS.cr2)));
  if (vector === DEBUG) parts.push(shown('dr6', get(SLOTS.dr6)));
  parts.push(shown('sp', get(SLOTS.rsp)), shown('cs', get(SLOTS.cs)), shown('ss', get(SLOTS.ss)));
  for (const name of ['ds', 'es'] as const)
    if (get(SLOTS[name]) !== BigInt(at.DATA32)) parts.push(shown(name, get(SLOTS[name])));
  for (const name of ['fs', 'gs'] as const)
    if (get(SLOTS[name]) !== 0n) parts.push(shown(name, get(SLOTS[name])));
  parts.push(shown('fl', get(SLOTS.flags)));
  for (const name of GENERAL)
    if (get(SLOTS[name]) !== 0n) parts.push(shown(name, get(SLOTS[name])));
  for (let n = 8; n < 16; n++)
    if (get(SLOTS.r8 + n - 8) !== 0n) parts.push(shown(`r${n}`, get(SLOTS.r8 + n - 8)));
  return parts.join(' ');
}
