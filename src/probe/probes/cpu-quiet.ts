// Operations without an answer must at least be possible: cpu.wbinvd, cpu.io_delay, the marks around a context switch.

import { defineProbe } from '../define.ts';

export const cpuQuiet = defineProbe<{ wbinvd: number; delay: number; start: number; end: number }>({
  id: 'cpu-quiet',
  title: 'wbinvd, io_delay, start_context_switch and end_context_switch do not fault',
  ref: 'arch/x86/include/asm/paravirt_types.h (2.6.32)',
  about: ['cpu.wbinvd', 'cpu.io_delay', 'cpu.start_context_switch', 'cpu.end_context_switch'],
  runsOn: 'all',
  guest(a) {
    a.attempt('wbinvd', (b) => b.op('cpu.wbinvd'));
    a.attempt('delay', (b) => b.op('cpu.io_delay'));
    a.attempt('start', (b) => b.op('cpu.start_context_switch'));
    a.attempt('end', (b) => b.op('cpu.end_context_switch'));
  },
  check(answers, t) {
    for (const name of ['wbinvd', 'delay', 'start', 'end'] as const)
      t.fault(answers[name], null, name);
  },
});
