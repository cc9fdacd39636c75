// All probe programs, in the order in which they run.

import type { Program } from '../program.ts';
import { basics } from './basics.ts';
import { codeLimits } from './code-limits.ts';
import { breakpointPrograms, doubleFaults, exceptions, steps } from './exceptions.ts';
import { gates } from './gates.ts';
import { interruptPrograms } from './interrupts.ts';
import { realMode, taskPrograms, v86Mode } from './legacy.ts';
import { paging, pagingControls, pagingSpecial } from './paging.ts';
import { privilegedPrograms } from './privileged.ts';
import { callPrograms, flagPrograms, portPrograms } from './rights.ts';
import { limitPrograms, segments } from './segments.ts';
import { controlPrograms, msrPrograms } from './system.ts';
import { askingPrograms, tablePrograms } from './tables.ts';
import { callGatePrograms, longTransfers, returnPrograms, transfers } from './transfers.ts';
import { factPrograms, ioPrograms, pointerPrograms, quietPrograms, unitPrograms } from './units.ts';

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
  ...codeLimits,
  ...unitPrograms,
  ...factPrograms,
  ...ioPrograms,
  ...pointerPrograms,
  ...quietPrograms,
  ...interruptPrograms,
];
