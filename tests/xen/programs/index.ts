// All Xen programs, in the order in which the guest runs them.

import { calls } from './calls.ts';
import { cpu } from './cpu.ts';
import { pinning } from './pinning.ts';
import { updates } from './updates.ts';

export const allPrograms = [...pinning, ...updates, ...cpu, ...calls];
