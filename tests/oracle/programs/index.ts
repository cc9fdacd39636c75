// All probe programs, in the order in which they run.

import type { Program } from '../program.ts';
import { basics } from './basics.ts';
import { breakpointPrograms, doubleFaults, exceptions, steps } from './exceptions.ts';
import { gates } from './gates.ts';
import { paging, pagingControls, pagingSpecial } from './paging.ts';
import { limitPrograms, segments } from './segments.ts';
import { callGatePrograms, longTransfers, returnPrograms, transfers } from './transfers.ts';

export const allPrograms: readonly Program[] = [
  ...basics,
  ...exceptions,
  ...steps,
  ...doubleFaults,
  ...breakpointPrograms,
  ...gates,
  ...transfers,
  ...longTransfers,
  ...returnPrograms,
  ...callGatePrograms,
  ...segments,
  ...limitPrograms,
  ...paging,
  ...pagingControls,
  ...pagingSpecial,
];
