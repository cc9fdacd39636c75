// cpu.clts must clear CR0.TS, touch nothing else, and leave the FPU usable; with TS set the FPU must trap.

import { defineProbe } from '../define.ts';

const CR0_TS = 8;
const NM = 7;

export const cpuClts = defineProbe<{ before: number; after: number; trapped: number; fpu: number }>(
  {
    id: 'cpu-clts',
    title: 'cpu.clts clears CR0.TS and nothing else',
    ref: 'SDM 2A CLTS',
    about: ['cpu.clts', 'cpu.write_cr0', 'cpu.read_cr0'],
    runsOn: 'all',
    guest(a) {
      a.op('cpu.read_cr0').text(`or eax, ${CR0_TS}`).report('before', '{ax}').op('cpu.write_cr0');
      a.tryInsn('fld1', 'trapped').op('cpu.read_cr0').text(`or eax, ${CR0_TS}`);
      // Again: a trap may have cleared it on the way.
      a.op('cpu.write_cr0').op('cpu.clts').op('cpu.read_cr0').report('after', '{ax}');
      a.tryInsn('fld1', 'fpu');
    },
    check({ before, after, trapped, fpu }, t) {
      t.fault(trapped, NM, 'fld1 with TS set');
      t.equal(after, before - CR0_TS, 'CR0 after clts');
      t.fault(fpu, null, 'fld1 after clts'); // #NM: TS stayed set beneath the guest's view.
    },
  },
);
