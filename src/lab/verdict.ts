// How runs end: one word and one sentence, from why the machine stopped and what the console has shown.

import type { HypervisorInterface } from '../hypervisors/index.ts';
import { INIT_UP, type KernelImage } from '../image/index.ts';
import type { Stop } from '../machine/machine.ts';

export type VerdictWord = 'up' | 'panic' | 'ended' | 'hung' | 'blind' | 'absent' | 'error';

export interface Verdict {
  readonly word: VerdictWord;
  /** One sentence. */
  readonly reason: string;
  /** A limit of time ended the run. */
  readonly timedOut?: boolean;
}

/** What every panic of Linux prints, and the end of what it prints. */
export const PANIC_TEXT = 'Kernel panic - not syncing';
export const MARKER = INIT_UP;

/** What the console has shown so far. */
export interface Seen {
  /** The text that the run waits for, or the marker where it waits for none. */
  goal: boolean;
  /** The marker of our init, whatever the run waits for. */
  marker: boolean;
  panic: boolean;
  failed: boolean;
}

export interface Aim {
  readonly expectText: string | null;
  readonly failText: string | null;
  /** Nobody waits for a text: the guest's own end is as good as any. */
  readonly untilGuestEnds: boolean;
}

/** The goal has been reached, or the fail text has been shown. */
export function judgeText(seen: Seen, aim: Aim): Verdict | null {
  if (seen.failed) return { word: 'panic', reason: `the console printed '${aim.failText}'` };
  if (!seen.goal || aim.untilGuestEnds) return null;
  const text = aim.expectText === null ? MARKER : `'${aim.expectText}'`;
  return { word: 'up', reason: `the console printed ${text}` };
}

/** The machine has stopped and will not go on. Null: it can. */
export function judgeStop(stop: Stop, seen: Seen, aim: Aim): Verdict | null {
  switch (stop.kind) {
    case 'slice':
    case 'requested':
    case 'asleep':
    case 'idle':
      return null;
    case 'off':
      return guestEnded('the guest switched itself off', 'ended', seen, aim);
    case 'reset':
      return guestEnded(`the guest reset itself (${stop.why})`, 'panic', seen, aim);
    case 'ended':
      return { word: 'ended', reason: stop.why };
    case 'crashed':
      return { word: 'panic', reason: stop.why };
    case 'dead':
      return guestEnded(`the guest is ${stop.why}: nothing can wake it`, 'hung', seen, aim);
    case 'shutdown':
      return { word: 'panic', reason: stop.why };
    case 'unsupported': // A guest that jumps to where there is no RAM has lost its way: that is no fault of ours.
      return { word: 'panic', reason: stop.why };
  }
}

function guestEnded(what: string, otherwise: VerdictWord, seen: Seen, aim: Aim): Verdict {
  if (seen.panic) return panicked();
  if (aim.expectText !== null) {
    return { word: otherwise, reason: `${what} before the console printed '${aim.expectText}'` };
  }
  if (seen.marker) return { word: 'up', reason: what };
  if (aim.untilGuestEnds && otherwise === 'ended') return { word: 'up', reason: what };
  return { word: otherwise, reason: `${what} before it reached ${MARKER}` };
}

export function panicked(): Verdict {
  return { word: 'panic', reason: `the kernel panicked: the console printed '${PANIC_TEXT}'` };
}

/** The line of the console that says why, as far as it was kept. */
export function panicLine(lines: readonly string[]): string | null {
  const line = lines.find((text) => text.includes(PANIC_TEXT));
  return line?.slice(line.indexOf(PANIC_TEXT) + PANIC_TEXT.length).replace(/^: /, '') || null;
}

type Needs = Pick<HypervisorInterface, 'id' | 'guestNeeds' | 'formerNeeds'>;

export function blind(id: string, guestNeeds: readonly string[]): Verdict {
  return {
    word: 'blind',
    reason: `the kernel came up without noticing ${id}: was it built with ${guestNeeds.join(' and ')}?`,
  };
}

/** The needs that the kernel's configuration does not meet, as a kernel of its release has them. */
export function absent(
  { id, guestNeeds, formerNeeds = {} }: Needs,
  kernel: Pick<KernelImage, 'config' | 'version'> | null,
): Verdict | null {
  const known = guestNeeds.length > 0 ? kernel?.config() : null;
  if (!known) return null;
  const names = guestNeeds.map((name) => {
    const former = formerNeeds[name];
    return former && isBefore(kernel!.version(), former.before) ? former.name : name;
  });
  const missing = names.filter((name) => known.get(name) !== 'y');
  if (missing.length === 0) return null;
  return {
    word: 'absent',
    reason: `the kernel was not built for ${id}: it lacks ${missing.join(' and ')}`,
  };
}

/** `2.6.32-5-686 (...)`; a text without a release is of today. */
function isBefore(version: string, [major, minor]: readonly [number, number]): boolean {
  const release = /^(\d+)\.(\d+)/.exec(version);
  if (!release) return false;
  const [its, itsMinor] = [Number(release[1]), Number(release[2])];
  return its < major || (its === major && itsMinor < minor);
}

/** 0: as expected; 42: out of time; 1: anything else. */
export function exitStatus(result: { verdict: VerdictWord; timedOut: boolean }): number {
  if (result.verdict === 'up') return 0;
  return result.timedOut ? 42 : 1;
}
