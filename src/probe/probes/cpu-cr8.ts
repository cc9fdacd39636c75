// cpu.write_cr8 must set the task priority, of which there are four bits.

import { defineProbe } from '../define.ts';

const GP = 13;
const TPR = 0x80;

export const cpuCr8 = defineProbe<{
  read: number;
  priority: number;
  back: number;
  refused: number;
}>({
  id: 'cpu-cr8',
  title: 'cpu.write_cr8 is the task priority of the local APIC, and refuses a fifth bit',
  ref: 'SDM 3A 11.8.6, 2B MOV - Move to/from Control Registers',
  about: ['cpu.read_cr8', 'cpu.write_cr8'],
  runsOn: ({ bits }) => (bits === 64 ? null : 'for 64 bits only'),
  guest(a) {
    a.op('irq.irq_disable').text('mov eax, 5').op('cpu.write_cr8');
    a.op('cpu.read_cr8').report('read', 'rax');
    a.text(`mov eax, ${TPR}`).op('apic.read').report('priority', 'eax');
    a.attempt('refused', (b) => b.text('mov eax, 0x10').op('cpu.write_cr8'));
    a.text('xor eax, eax').op('cpu.write_cr8').op('cpu.read_cr8').report('back', 'rax');
  },
  check({ read, priority, back, refused }, t) {
    t.equal(read, 5, 'CR8');
    t.equal(priority, 0x50, 'the task priority');
    t.fault(refused, GP, 'CR8 with bit 4');
    t.equal(back, 0, 'CR8, back at 0');
  },
});
