// What the guest of the Xen programs prints, read.

/** The answer of a program that the hypervisor ends the domain for. */
export const ENDED = 'ends the domain';

export interface Answers {
  /** By index of the program. */
  readonly lines: Map<number, string>;
  /** The last program of the file has answered. */
  readonly finished: boolean;
}

/** Two consoles may each have put a carriage return before the end of a line. Lines of `#index results`, and a full stop behind the last. */
export function readAnswers(text: string): Answers {
  const lines = new Map<number, string>();
  for (const line of text.matchAll(/^#([0-9a-f]+)((?: [0-9a-f]+)*)\r*\n/gm))
    lines.set(Number.parseInt(line[1] ?? '', 16), (line[2] ?? '').trim());
  return { lines, finished: /^\.\r*$/m.test(text) };
}
