// All probe programs, in the order in which they run.

import type { Program } from '../program.ts';
import { basics } from './basics.ts';

export const allPrograms: readonly Program[] = [...basics];
