// cpu.set_ldt must make a table of segments, up to its limit, until it is taken away.

import { defineProbe } from '../define.ts';

const GP = 13;
const DATA = 0x00cff300;
/** Of the LDT, ring 3. */
const selector = (index: number) => (index << 3) | 7;

export const cpuLdt = defineProbe<{
  loaded: number;
  beyond: number;
  beyond_error: number;
  gone: number;
}>({
  id: 'cpu-ldt',
  title: 'cpu.set_ldt makes segments up to its limit, and none any more once it is empty',
  ref: 'SDM 3A 3.5.1, 2.4.2',
  about: ['cpu.set_ldt', 'cpu.write_ldt_entry', 'cpu.alloc_ldt', 'cpu.free_ldt'],
  runsOn: 'all',
  guest(a) {
    a.text(`mov dword ptr [page.d+8], 0xffff; mov dword ptr [page.d+12], ${DATA}`);
    a.text('mov {ax}, page.d; mov edx, 4').op('cpu.alloc_ldt');
    a.text('mov {ax}, page.d; mov edx, 4').op('cpu.set_ldt');
    a.text(`mov dword ptr [kernel.scratch], 0xffff; mov dword ptr [kernel.scratch+4], ${DATA}`);
    a.text('mov {ax}, page.d; mov edx, 2; mov {cx}, kernel.scratch').op('cpu.write_ldt_entry');
    a.text(`mov eax, ${selector(2)}`).tryInsn('mov es, ax', 'loaded');
    a.text(`mov eax, ${selector(4)}`).tryInsn('mov es, ax', 'beyond');
    a.text('mov eax, ds; mov es, ax; xor eax, eax; xor edx, edx').op('cpu.set_ldt');
    a.text(`mov eax, ${selector(2)}`).tryInsn('mov es, ax', 'gone');
    a.text('mov eax, ds; mov es, ax; mov {ax}, page.d; mov edx, 4').op('cpu.free_ldt');
    a.text('mov dword ptr [page.d+8], 0; mov dword ptr [page.d+12], 0');
  },
  check({ loaded, beyond, beyond_error, gone }, t) {
    t.fault(loaded, null, 'a segment of the LDT');
    t.fault(beyond, GP, 'one beyond its limit');
    t.equal(beyond_error, selector(4) & ~3, 'its error code');
    t.fault(gone, GP, 'the segment without the LDT');
  },
});
