// cpu.write_gdt_entry must make a segment that can be loaded and used, and one that is not present must fault.

import { defineProbe } from '../define.ts';

const NP = 11;
/** TLS entries, which are anybody's: a data segment of ring 3 over the window, and the same, not present. */
const [GOOD, ABSENT] = [6, 7];
const [DATA, NOT_PRESENT] = [0x00cff300, 0x00cf7300];
const selector = (index: number) => (index << 3) | 3;

export const cpuGdt = defineProbe<{ loaded: number; absent: number; absent_error: number }>({
  id: 'cpu-gdt',
  title: 'cpu.write_gdt_entry makes a segment, and one without P raises #NP with its selector',
  ref: 'SDM 3A 3.4.5, 6.15',
  about: ['cpu.write_gdt_entry', 'cpu.load_gdt'],
  runsOn: 'all',
  guest(a) {
    const write = (index: number, high: number) => {
      a.text(`mov dword ptr [kernel.scratch], 0xffff; mov dword ptr [kernel.scratch+4], ${high}`);
      a.text(`mov {ax}, kernel.gdt; mov edx, ${index}; mov {cx}, kernel.scratch`);
      a.op('cpu.write_gdt_entry');
    };
    write(GOOD, DATA);
    write(ABSENT, NOT_PRESENT);
    a.text(`mov eax, ${selector(GOOD)}`).tryInsn('mov es, ax', 'loaded');
    a.text(`mov eax, ${selector(ABSENT)}`).tryInsn('mov es, ax', 'absent');
    a.text('mov eax, ds; mov es, ax');
  },
  check({ loaded, absent, absent_error }, t) {
    t.fault(loaded, null, 'a present segment');
    t.fault(absent, NP, 'one that is not');
    t.equal(absent_error, ABSENT << 3, 'its error code');
  },
});
