// Bits of DR7 that do not exist must be refused; where registers are kept by calls, so must addresses of the hypervisor.

import { defineProbe } from '../define.ts';

const GP = 13;

export const cpuDebugregRefused = defineProbe<{ upper: number }>({
  id: 'cpu-debugreg-refused',
  title: 'an upper half of DR7 that is not zero faults',
  ref: 'SDM 2B MOV - Move to/from Debug Registers',
  about: ['cpu.set_debugreg'],
  runsOn: ({ bits, traits }) =>
    bits === 64 && traits.privileged === 'native' ? null : 'the register has no upper half here',
  guest(a) {
    a.attempt('upper', (b) => b.text('mov rdx, 0x100000400; mov eax, 7').op('cpu.set_debugreg'));
  },
  check({ upper }, t) {
    t.fault(upper, GP, 'DR7 with bit 32');
  },
});
