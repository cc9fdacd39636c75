// cpu.write_cr4 must change what is asked for, and refuse what the mode of the processor does not allow.

import { defineProbe } from '../define.ts';

const CR4_TSD = 4;
const CR4_PCIDE = 1 << 17;
const GP = 13;

export const cpuCr4 = defineProbe<{
  before: number;
  set: number;
  after: number;
  refused: number;
  kept: number;
}>({
  id: 'cpu-cr4',
  title: 'cpu.write_cr4 sets and clears TSD, and refuses what its mode does not allow',
  ref: 'SDM 2B MOV - Move to/from Control Registers',
  about: ['cpu.write_cr4', 'cpu.read_cr4'],
  runsOn: ({ traits }) =>
    traits.privileged === 'native' ? null : "what is in CR4 is not a guest's to change",
  guest(a) {
    a.op('cpu.read_cr4').report('before', '{ax}').text(`or eax, ${CR4_TSD}`).op('cpu.write_cr4');
    a.op('cpu.read_cr4').report('set', '{ax}').text(`and eax, ${~CR4_TSD}`).op('cpu.write_cr4');
    a.op('cpu.read_cr4').report('after', '{ax}');
    // Process-context identifiers without long mode; in it, they are allowed.
    if (a.bits === 64) return;
    a.attempt('refused', (b) =>
      b.op('cpu.read_cr4').text(`or eax, ${CR4_PCIDE}`).op('cpu.write_cr4'),
    );
    a.op('cpu.read_cr4').report('kept', '{ax}');
  },
  check({ before, set, after, refused, kept }, t) {
    t.equal(set, before + CR4_TSD, 'CR4 with TSD');
    t.equal(after, before, 'CR4 without it');
    if (t.facts.bits === 64) return;
    t.fault(refused, GP, 'CR4 that the mode does not allow');
    t.equal(kept, before, 'CR4 after it');
  },
});
