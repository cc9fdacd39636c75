// Recorded answers of the outside machines, and which answer to a program counts.

import { readFileSync } from 'node:fs';
import type { Program } from './program.ts';

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

/** Both agree, or the program says, citing the specification, which of them is right. */
export function decide(program: Program, bochs: string, qemu: string): Decision {
  const agree = withoutResume(bochs) === withoutResume(qemu);
  const { expect } = program;
  if (!expect) {
    if (agree) return { answer: bochs };
    return { undecided: `the peers differ\n  bochs ${bochs}\n  qemu  ${qemu}` };
  }
  if (typeof expect.is === 'object') return { answer: expect.is.text };
  if (agree) return { undecided: `the peers agree: 'expect' says nothing\n  bochs ${bochs}` };
  return { answer: expect.is === 'bochs' ? bochs : qemu };
}

/** Whether an answer of ours is the right one. SDM 3B 17.3.1.1 does not say whether #DF, an abort, pushes RF. */
export function matches(right: string, ours: string): boolean {
  if (ours.startsWith('#8/')) return withoutResume(right) === withoutResume(ours);
  return right === ours;
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
