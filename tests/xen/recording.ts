// Recorded answers of the real Xen to the Xen programs, and where ours may differ.

import { readFileSync } from 'node:fs';

export const RECORDING = new URL('recorded/xen-4.17.txt', import.meta.url);

export interface RecordedAnswer {
  /** Of the program at the time of recording. */
  readonly digest: string;
  readonly answer: string;
}

/** Lines of `digest name => answer`; a number sign begins a comment. */
export function readRecording(): Map<string, RecordedAnswer> {
  const answers = new Map<string, RecordedAnswer>();
  for (const line of readFileSync(RECORDING, 'utf8').split('\n')) {
    const found = /^([0-9a-f]{8}) (.*?) => (.*)$/.exec(line);
    if (found) answers.set(found[2] ?? '', { digest: found[1] ?? '', answer: found[3] ?? '' });
  }
  return answers;
}
