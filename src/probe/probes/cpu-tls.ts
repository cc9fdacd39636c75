// cpu.load_tls must copy three descriptors into the GDT, of which the second half is checked by loading one.

import { defineProbe } from '../define.ts';

const GP = 13;
const TLS = 6;
const DATA = 0x00cff300;

export const cpuTls = defineProbe<{ first: number; last: number; emptied: number }>({
  id: 'cpu-tls',
  title: 'cpu.load_tls makes three segments, and empty ones cannot be loaded',
  ref: 'include/asm-x86/desc.h native_load_tls (2.6.32)',
  about: ['cpu.load_tls'],
  runsOn: 'all',
  guest(a) {
    const fill = (high: number) => {
      for (let n = 0; n < 3; n++)
        a.text(
          `mov dword ptr [kernel.scratch+${n * 8}], ${high === 0 ? 0 : 0xffff}; mov dword ptr [kernel.scratch+${n * 8 + 4}], ${high}`,
        );
      a.text('mov {ax}, kernel.scratch').op('cpu.load_tls');
    };
    const load = (index: number, name: string) =>
      a.text(`mov eax, ${(index << 3) | 3}`).tryInsn('mov es, ax', name);
    fill(DATA);
    load(TLS, 'first');
    load(TLS + 2, 'last');
    a.text('mov eax, ds; mov es, ax');
    fill(0);
    load(TLS + 2, 'emptied');
    a.text('mov eax, ds; mov es, ax');
  },
  check({ first, last, emptied }, t) {
    t.fault(first, null, 'the first segment');
    t.fault(last, null, 'the third segment');
    t.fault(emptied, GP, 'the third, once it is empty');
  },
});
