// cpu.read_tscp must read the time stamp counter, and beside it what the kernel has put into its own register for that.

import { defineProbe } from '../define.ts';

const MSR_TSC_AUX = 0xc0000103;
const MARK = 0x5a;

export const cpuTscp = defineProbe<{
  fault: number;
  settable?: number;
  too_wide?: number;
  aux: number;
  low: number;
  high: number;
}>({
  id: 'cpu-tscp',
  title: 'cpu.read_tscp reads a counter that goes on, and IA32_TSC_AUX',
  ref: 'SDM 2B RDTSCP',
  about: ['cpu.read_tscp'],
  runsOn: 'all',
  guest(a) {
    // Where MSRs fault, or this one is refused, what it holds is not the kernel's.
    a.attempt('fault', (b) => {
      b.text(`mov ecx, ${MSR_TSC_AUX}; mov eax, ${MARK}; xor edx, edx`).op('cpu.write_msr');
      b.report('settable', 'ecx');
    });
    a.attempt('fault', (b) => {
      b.text(`mov ecx, ${MSR_TSC_AUX}; mov eax, ${MARK}; mov edx, 1`).op('cpu.write_msr');
      b.report('too_wide', 'ecx');
    });
    a.op('cpu.read_tsc').text('mov esi, eax; mov edi, edx').op('cpu.read_tscp');
    a.report('aux', 'ecx').text('sub eax, esi; sbb edx, edi');
    a.report('low', 'eax').report('high', 'edx');
  },
  check({ settable, too_wide, aux, low, high }, t) {
    if (settable === 0) {
      t.equal(aux, MARK, 'IA32_TSC_AUX');
      t.equal(
        too_wide ?? -1,
        1,
        'the answer of write_msr for IA32_TSC_AUX with an upper half (SDM 4 2.1)',
      );
    }
    t.equal(high, 0, 'the upper half of the time between two readings');
    t.ok(low > 0, 'the counter has gone on');
  },
});
