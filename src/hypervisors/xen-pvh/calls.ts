// The hypercalls of a PVH guest: the family's and its own.

import type { AnyHypercall } from '../xen/define.ts';
import { hypercallTable } from '../xen/hypercall.ts';
import * as familyCalls from '../xen/hypercalls/index.gen.ts';
import * as pvhCalls from './hypercalls/index.gen.ts';

export const PVH_CALL_LIST: readonly AnyHypercall[] = [
  ...Object.values(familyCalls),
  ...Object.values(pvhCalls),
];
export const PVH_CALLS = hypercallTable(PVH_CALL_LIST);
