// Reads what the kernel says on a console, ours or a real one's, whatever else is printed there.

import { LOG_WORD } from './kernel/main.ts';

export interface ProbeLog {
  readonly bits: 32 | 64;
  /** By which entry it came in; the binding that it has chosen; call sites rewritten. */
  readonly boot: string;
  readonly on: string;
  readonly patched: number;
  /** What each probe has answered, in order; a probe that died has no answers. */
  readonly answers: ReadonlyMap<string, Readonly<Record<string, number>>>;
  readonly measures: ReadonlyMap<string, number>;
  /** The trap that ended it, and the probe that was on. */
  readonly fault: { readonly probe: string; readonly text: string } | null;
  readonly ended: boolean;
}

/** Null: the kernel has not got as far as its first line. */
export function readProbeLog(text: string): ProbeLog | null {
  const lines = text.split(/\r?\n/);
  const start = lines.findIndex((line) => line.startsWith(`${LOG_WORD} 1 `));
  if (start < 0) return null;
  const head = words(lines[start]!);
  const answers = new Map<string, Readonly<Record<string, number>>>();
  const measures = new Map<string, number>();
  let fault: ProbeLog['fault'] = null;
  let ended = false;
  let probe = '';
  for (const line of lines.slice(start + 1)) {
    if (line.startsWith(`${LOG_WORD} end`)) {
      ended = true;
      break;
    }
    const [word = '', name = ''] = line.split(' ');
    if (word === LOG_WORD && name === 'fault') {
      fault = { probe, text: line.slice(LOG_WORD.length + 1) };
      answers.delete(probe);
    } else if (word === 'probe') {
      probe = name;
      answers.set(name, numbers(line));
    } else if (word === 'measure') {
      measures.set(name, numbers(line).cycles ?? 0);
    }
  }
  return {
    bits: head.bits === '64' ? 64 : 32,
    boot: head.boot ?? '',
    on: head.on ?? '',
    patched: Number.parseInt(head.patched ?? '0', 16),
    answers,
    measures,
    fault,
    ended,
  };
}

const words = (line: string): Record<string, string> =>
  Object.fromEntries(
    [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  );

const numbers = (line: string): Record<string, number> =>
  Object.fromEntries(
    Object.entries(words(line)).map(([name, value]) => [name, Number(BigInt(`0x${value}`))]),
  );
