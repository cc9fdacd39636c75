// All probe programs, in the order in which they run.

import type { Program } from '../program.ts';
import { basics } from './basics.ts';
import { breakpointPrograms, doubleFaults, exceptions, steps } from './exceptions.ts';
import { gates } from './gates.ts';

export const allPrograms: readonly Program[] = [
  ...basics,
  ...exceptions,
  ...steps,
  ...doubleFaults,
  ...breakpointPrograms,
  ...gates,
];
