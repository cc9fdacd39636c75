// All Xen programs, in the order in which each guest runs them.

import type { PvhProgram } from '../pvh-program.ts';
import { calls } from './calls.ts';
import { cpu } from './cpu.ts';
import { pinning } from './pinning.ts';
import { pvGrants } from './pv-grants.ts';
import { pvhCalls } from './pvh-calls.ts';
import { pvhStart } from './pvh-start.ts';
import * as shared from './shared-calls.ts';
import { updates } from './updates.ts';

export const allPrograms = [...pinning, ...updates, ...cpu, ...calls, ...pvGrants];

/** What ends the domain comes before what both kinds of guests have: that begins with ports as they are at the start. */
export const allPvhPrograms: readonly PvhProgram[] = [
  ...pvhStart,
  ...pvhCalls,
  ...shared.versions,
  ...shared.numbers,
  ...shared.memory,
  ...shared.events,
  ...shared.vcpus,
  ...shared.scheduling,
  ...shared.grants,
];

export { pvhEvents } from './pvh-events.ts';
