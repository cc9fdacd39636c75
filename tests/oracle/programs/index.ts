// All probe programs, in the order in which they run.

import type { Program } from '../program.ts';
import { basics } from './basics.ts';
import { breakpointPrograms, doubleFaults, exceptions, steps } from './exceptions.ts';
import { gates } from './gates.ts';
import { paging, pagingControls, pagingSpecial } from './paging.ts';
import { realMode, taskPrograms, v86Mode } from './legacy.ts';
import { limitPrograms, segments } from './segments.ts';
import {
  askingPrograms,
  callPrograms,
  controlPrograms,
  flagPrograms,
  msrPrograms,
  portPrograms,
  privilegedPrograms,
  tablePrograms,
} from './system.ts';
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
  ...privilegedPrograms,
  ...controlPrograms,
  ...msrPrograms,
  ...tablePrograms,
  ...askingPrograms,
  ...callPrograms,
  ...portPrograms,
  ...flagPrograms,
  ...realMode,
  ...v86Mode,
  ...taskPrograms,
];
