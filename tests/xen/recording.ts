// Recorded answers of the real Xen to the Xen programs, and where ours may differ.

import { readFileSync } from 'node:fs';

export const RECORDING = new URL('recorded/xen-4.17.txt', import.meta.url);

export interface RecordedAnswer {
  /** Of the program at the time of recording. */
  readonly digest: string;
  readonly answer: string;
}

/** Programs to which our answer is another, and why that is right. Lines of `name => reason`. */
export function readExplained(): Map<string, string> {
  const lines = readFileSync(new URL('recorded/explained.txt', import.meta.url), 'utf8').split(
    '\n',
  );
  return new Map(
    lines.filter(Boolean).map((line) => {
      const at = line.lastIndexOf(' => ');
      return [line.slice(0, at), line.slice(at + 4)];
    }),
  );
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
