// cpu.write_cr0 must refuse NW without CD, which is no mode of the caches, and leave the register as it was.

import { defineProbe } from '../define.ts';

const GP = 13;
const [NW, CD] = [0x20000000, 0x40000000];

export const cpuCr0Refused = defineProbe<{ before: number; refused: number; after: number }>({
  id: 'cpu-cr0-refused',
  title: 'cpu.write_cr0 refuses NW without CD',
  ref: 'SDM 2B MOV - Move to/from Control Registers',
  about: ['cpu.write_cr0'],
  runsOn: ({ traits }) =>
    traits.privileged === 'native' ? null : "the other bits of CR0 are not a guest's to change",
  guest(a) {
    a.op('cpu.read_cr0').report('before', '{ax}').text('mov {bp}, {ax}');
    a.attempt('refused', (b) =>
      b.op('cpu.read_cr0').text(`and eax, ${~CD}; or eax, ${NW}`).op('cpu.write_cr0'),
    );
    // Put back, for a machine that has taken it.
    a.op('cpu.read_cr0').report('after', '{ax}').text('mov {ax}, {bp}').op('cpu.write_cr0');
  },
  check({ before, refused, after }, t) {
    t.fault(refused, GP, 'CR0 with NW and without CD');
    t.equal(after, before, 'CR0 after it');
  },
});
