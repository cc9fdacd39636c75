// A page fault must tell its address by mmu.read_cr2, with an error code that says why.

import { defineProbe } from '../define.ts';

const PF = 14;
const NOWHERE = 0x50000120;
const [W, U] = [2, 4];

export const mmuCr2 = defineProbe<{
  read: number;
  read_error: number;
  read_at: number;
  write: number;
  write_error: number;
  kept: number;
}>({
  id: 'mmu-cr2',
  title: 'a fault where nothing is mapped tells its address and its kind',
  ref: 'SDM 3A 4.7',
  about: ['mmu.read_cr2', 'mmu.write_cr2'],
  runsOn: 'all',
  guest(a) {
    a.text(`mov {bx}, ${NOWHERE}`).tryInsn('mov eax, [{bx}]', 'read');
    a.text('mov {ax}, [trap.address]').report('read_at', '{ax}');
    a.text(`mov {bx}, ${NOWHERE}`).tryInsn('mov [{bx}], eax', 'write');
    a.text('mov eax, 0x1230').op('mmu.write_cr2').op('mmu.read_cr2').report('kept', '{ax}');
  },
  check({ read, read_error, read_at, write, write_error, kept }, t) {
    t.fault(read, PF, 'a read');
    t.equal(read_error & ~U, 0, 'its error code'); // Whether ring 1 counts as a user, the interface says.
    t.equal(read_at, NOWHERE, 'its address');
    t.fault(write, PF, 'a write');
    t.equal(write_error & ~U, W, 'its error code');
    t.equal(kept, 0x1230, 'CR2 as written');
  },
});
