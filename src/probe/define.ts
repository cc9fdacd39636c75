// What a probe is: code that asks one question of whatever is beneath it, and what the answer has to be.

import type { GuestOperationId, GuestTraits } from '../ops/index.ts';
import type { Emitter } from './kernel/emitter.ts';

/** What a probe can know of where it runs. */
export interface ProbeFacts {
  readonly bits: 32 | 64;
  readonly traits: GuestTraits;
  /** What the interface must answer to a call that it does not have; null where there are no calls. */
  readonly badCallAnswer: number | null;
  /** What it refuses besides, and how. */
  readonly refusals: readonly { readonly what: string; readonly answer: number }[];
}

/** The code of a probe; what is here beside the kernel's own is for answers. */
export interface ProbeCode extends Emitter {
  /** The register's value, under this name. */
  report(name: string, register: string): this;
  /** The vector that the instruction raises, or 0x100. Its error code goes to `<name>_error`. */
  tryInsn(instruction: string, name: string): this;
  /** The same for code of several instructions; a fault ends it. Registers but SP are lost then. */
  attempt(name: string, body: (code: ProbeCode) => void): this;
}

/** Where the answers are judged. */
export interface Judge {
  readonly facts: ProbeFacts;
  equal(actual: number, expected: number, what: string): void;
  ok(condition: boolean, what: string): void;
  /** `vector` null: no fault. */
  fault(actual: number, vector: number | null, what: string): void;
}

export interface Probe {
  readonly id: string;
  readonly title: string;
  readonly ref: string;
  /** Of the catalogue: what it asks about. What it merely uses is found in its code. */
  readonly about: readonly GuestOperationId[];
  /** Null if it can run there, else why not. Where an operation is missing that it uses it never runs. */
  readonly runsOn: 'all' | ((facts: ProbeFacts) => string | null);
  guest(code: ProbeCode): void;
  check(answers: Readonly<Record<string, number>>, judge: Judge): void;
}

/** `Answers` are the names that it reports. */
export interface ProbeOf<Answers> extends Omit<Probe, 'check'> {
  check(answers: Answers, judge: Judge): void;
}

export function defineProbe<Answers extends Readonly<Record<string, number>>>(
  probe: ProbeOf<Answers>,
): Probe {
  return probe as unknown as Probe;
}
