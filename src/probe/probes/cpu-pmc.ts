// cpu.read_pmc of a counter that the processor does not have must fault.

import { defineProbe } from '../define.ts';

const GP = 13;
/** No processor has as many. */
const NONE = 0x7fff;

export const cpuPmc = defineProbe<{ missing: number }>({
  id: 'cpu-pmc',
  title: 'cpu.read_pmc of a counter that is not there faults',
  ref: 'SDM 2B RDPMC',
  about: ['cpu.read_pmc'],
  runsOn: 'all',
  guest(a) {
    a.attempt('missing', (b) => b.text(`mov ecx, ${NONE}`).op('cpu.read_pmc'));
  },
  check({ missing }, t) {
    t.fault(missing, GP, 'RDPMC');
  },
});
