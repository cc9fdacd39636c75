// cpu.write_cr0 must refuse paging without protection, which no processor has, and leave the register as it was.

import { defineProbe } from '../define.ts';

const GP = 13;

export const cpuCr0Refused = defineProbe<{ before: number; refused: number; after: number }>({
  id: 'cpu-cr0-refused',
  title: 'cpu.write_cr0 refuses PG without PE',
  ref: 'SDM 2B MOV - Move to/from Control Registers',
  about: ['cpu.write_cr0'],
  runsOn: ({ traits }) =>
    traits.privileged === 'native' ? null : "the other bits of CR0 are not a guest's to change",
  guest(a) {
    a.op('cpu.read_cr0').report('before', '{ax}');
    a.attempt('refused', (b) =>
      b.op('cpu.read_cr0').text('and eax, 0xfffffffe').op('cpu.write_cr0'),
    );
    a.op('cpu.read_cr0').report('after', '{ax}');
  },
  check({ before, refused, after }, t) {
    t.fault(refused, GP, 'CR0 with PG and without PE');
    t.equal(after, before, 'CR0 after it');
  },
});
