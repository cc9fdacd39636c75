// Option values as text: sizes, times and whole numbers, each refused in a sentence.

import { InputError } from '../base/errors.ts';
import { REQUEST_WORDS, requestOf } from '../lab/index.ts';

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 2 ** 20, // As QEMU has it: a bare number is mebibytes.
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
};
const TIME_UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** `512M`, `1G`, `512`. */
export function parseSize(text: string, option: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,12})([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
  if (digits === '') throw badValue(option, text, 'a size such as 512M or 1G');
  return Number(digits) * SIZE_UNITS[unit.toLowerCase()]!;
}

/** `120s`, `2m`, `0.5`. */
export function parseSeconds(text: string, option: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (digits === '') throw badValue(option, text, 'a time such as 120s or 2m');
  return Number(digits) * TIME_UNITS[unit]!;
}

export function parseWhole(text: string, option: string): number {
  if (!/^\d{1,10}$/.test(text)) throw badValue(option, text, 'a whole number');
  return Number(text);
}

export function parseChoice<T extends string>(
  text: string,
  option: string,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw badValue(option, text, `one of ${choices.join(', ')}`);
}

export const ENGINES = 'auto (jit), jit, interpreter or reference';

/** `auto` is the fastest that gives every answer: the JIT. */
export function parseEngine(text: string): 'jit' | 'interpreter' | 'reference' {
  const name = parseChoice(text, '--engine', ['auto', 'jit', 'interpreter', 'reference']);
  return name === 'auto' ? 'jit' : name;
}

/** Text that is looked for or handed on: empty or endless is a slip. */
export function parseText(text: string, option: string): string {
  if (text.length > 0 && text.length <= 4096) return text;
  throw badValue(option, text.slice(0, 20), 'between 1 and 4096 characters');
}

/** `2s=poweroff`. */
export function parseRequest(text: string): { atNanos: number; what: string } {
  const [time = '', words = ''] = text.split('=', 2);
  const what = requestOf(words);
  if (what === null) throw badValue('--at', text, `TIME=REQUEST: ${REQUEST_WORDS}`);
  return { atNanos: Math.round(parseSeconds(time, '--at') * 1e9), what };
}

/** `wanted` completes the hint 'give ...'. */
export function badValue(option: string, text: string, wanted: string): InputError {
  return new InputError(
    'cli/value',
    `${option} cannot be ${JSON.stringify(text.slice(0, 60))}`,
    `give ${wanted}.`,
  );
}
