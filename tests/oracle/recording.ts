// Recorded answers of the outside machines, and which answer to a program counts.

import { readFileSync } from 'node:fs';
import { differenceOf } from './differences.ts';

export type Peer = 'bochs' | 'qemu';

export interface RecordedAnswer {
  /** Of the program at the time of recording. */
  readonly digest: string;
  readonly answer: string;
}

export const recordingPath = (peer: Peer): URL => new URL(`recorded/${peer}.txt`, import.meta.url);

export function readRecording(peer: Peer): Map<string, RecordedAnswer> {
  return parseRecording(readFileSync(recordingPath(peer), 'utf8'));
}

/** Lines of `digest name => answer`; a number sign begins a comment. */
export function parseRecording(text: string): Map<string, RecordedAnswer> {
  const answers = new Map<string, RecordedAnswer>();
  for (const line of text.split('\n')) {
    const found = /^([0-9a-f]{8}) (.*?) => (.*)$/.exec(line);
    if (found) answers.set(found[2] ?? '', { digest: found[1] ?? '', answer: found[3] ?? '' });
  }
  return answers;
}

export type Decision = { readonly answer: string } | { readonly undecided: string };

/** Both agree, or the table of differences says, citing the specification, what is right. */
export function decide(name: string, bochs: string, qemu: string): Decision {
  const difference = differenceOf(name);
  if (typeof difference?.right === 'object') return { answer: difference.right.text };
  if (withoutResume(bochs) === withoutResume(qemu)) return { answer: bochs };
  if (difference) return { answer: difference.right === 'bochs' ? bochs : withResume(qemu) };
  return { undecided: `the peers differ\n  bochs ${bochs}\n  qemu  ${qemu}` };
}

/** Whether an answer of ours is the right one. SDM 3B 17.3.1.1 does not say whether #DF, an abort, pushes RF. */
export function matches(right: string, ours: string): boolean {
  return right === ours || (/^#8\//.test(ours) && withoutResume(right) === withoutResume(ours));
}

/** QEMU pushes RF for no fault; what it says of faults is completed: the flags are the word after the code selector. */
function withResume(answer: string): string {
  return answer.replace(/^(#\d+\/64 \[0 \S+ \S+) (\S+)/, (_, before: string, flags: string) => {
    return `${before} ${(Number.parseInt(flags, 16) | RF).toString(16)}`;
  });
}

const RF = 0x10000;

/**
 * QEMU pushes RF for no fault, against SDM 3B 17.3.1.1, so the peers are compared without it: bit 16 of stack words that
 * can be flags. No address of a program has that bit.
 */
export function withoutResume(answer: string): string {
  return answer.replace(/\[([^\]]*)\]/g, (_, words: string) => {
    const cleared = words.split(' ').map((word) => {
      const value = Number.parseInt(word, 16);
      return value < 0x400000 && value & RF ? (value & ~RF).toString(16) : word;
    });
    return `[${cleared.join(' ')}]`;
  });
}
