// The Xen programs of each kind of guest: what they are, the kernel file, and where the recorded answers are.

import { readFileSync } from 'node:fs';
import { digest, pvhKernel, pvKernel } from './image.ts';
import { type CommonParts, partsOf, type Value, type XenProgram } from './program.ts';
import { allPrograms, allPvhPrograms, pvhEvents } from './programs/index.ts';
import { pvhPartsOf } from './pvh-program.ts';

export interface MadeCall {
  readonly number: number;
  /** Null: only the running guest knows. Of a place it may know the lowest bits. */
  readonly args: readonly (number | null)[];
  /** The first word of the structure that the first argument points to. */
  readonly pointed: number | null;
}

export interface SuiteProgram {
  readonly name: string;
  readonly digest: string;
  /** The hypercalls that it makes. */
  readonly calls: readonly MadeCall[];
}

export interface Suite {
  readonly title: string;
  readonly on: 'xen-pv' | 'xen-pvh';
  readonly programs: readonly SuiteProgram[];
  /** Of those whose names the filter takes; all of them without one. */
  kernel(asked?: (name: string) => boolean): Uint8Array;
  /** Answers of the real Xen. */
  readonly recording: URL;
  /** Programs to which our answer is another, and why that is right. */
  readonly explained: URL;
}

const PVH_WAYS = ['call', 'call32', 'call16'] as const;

export const SUITES: readonly Suite[] = [
  {
    title: 'xen-pv',
    on: 'xen-pv',
    programs: allPrograms.map((program) => described(program, partsOf(0), ['call'])),
    kernel: (asked = () => true) => pvKernel(allPrograms.filter(({ name }) => asked(name))),
    recording: new URL('recorded/xen-4.17.txt', import.meta.url),
    explained: new URL('recorded/explained.txt', import.meta.url),
  },
  {
    title: 'xen-pvh',
    on: 'xen-pvh',
    programs: allPvhPrograms.map((program) => described(program, pvhPartsOf(0), PVH_WAYS)),
    kernel: (asked = () => true) => pvhKernel(allPvhPrograms.filter(({ name }) => asked(name))),
    recording: new URL('recorded/xen-4.17-pvh.txt', import.meta.url),
    explained: new URL('recorded/explained-pvh.txt', import.meta.url),
  },
  // Apart from the others, on Bochs: QEMU ends itself when Xen waits for a guest to let interrupts in.
  {
    title: 'xen-pvh-events',
    on: 'xen-pvh',
    programs: pvhEvents.map((program) => described(program, pvhPartsOf(0), PVH_WAYS)),
    kernel: (asked = () => true) => pvhKernel(pvhEvents.filter(({ name }) => asked(name))),
    recording: new URL('recorded/xen-4.17-pvh-events.txt', import.meta.url),
    explained: new URL('recorded/explained-pvh-events.txt', import.meta.url),
  },
];

/** `ways`: the parts by which a program makes calls. */
function described<W extends string, P extends CommonParts & Record<W, CommonParts['call']>>(
  { name, code }: XenProgram<P>,
  parts: P,
  ways: readonly W[],
): SuiteProgram {
  const calls: MadeCall[] = [];
  const known = (value: Value | undefined) =>
    (typeof value === 'object' ? value.low : value === undefined ? null : Number(value)) ?? null;
  const stored = new Map<number, Value>();
  const store: CommonParts['store'] = (va, value) => {
    stored.set(va, value);
    return parts.store(va, value);
  };
  const watched = ways.map((way) => {
    const call: CommonParts['call'] = (number, ...args) => {
      const words = args.map(known);
      calls.push({ number, args: words, pointed: known(stored.get(words[0] ?? -1)) });
      return parts[way](number, ...args);
    };
    return [way, call];
  });
  const text = code({ ...parts, store, ...Object.fromEntries(watched) });
  return { name, digest: digest(text), calls };
}

export function findSuite(title: string): Suite {
  const found = SUITES.find((suite) => suite.title === title);
  if (!found) throw new Error(`no Xen programs '${title}'`);
  return found;
}

export interface RecordedAnswer {
  /** Of the program at the time of recording. */
  readonly digest: string;
  readonly answer: string;
}

/** Lines of `name => reason`. */
export function readExplained({ explained }: Suite): Map<string, string> {
  const lines = readFileSync(explained, 'utf8').split('\n').filter(Boolean);
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' => ');
      return [line.slice(0, at), line.slice(at + 4)];
    }),
  );
}

/** Lines of `digest name => answer`; a number sign begins a comment. */
export function readRecording({ recording }: Suite): Map<string, RecordedAnswer> {
  const answers = new Map<string, RecordedAnswer>();
  for (const line of readFileSync(recording, 'utf8').split('\n')) {
    const found = /^([0-9a-f]{8}) (.*?) => (.*)$/.exec(line);
    if (found) answers.set(found[2] ?? '', { digest: found[1] ?? '', answer: found[3] ?? '' });
  }
  return answers;
}
