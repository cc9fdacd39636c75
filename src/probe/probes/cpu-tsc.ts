// cpu.read_tsc must go on, and never back.

import { defineProbe } from '../define.ts';

export const cpuTsc = defineProbe<{ steps: number; back: number; moved: number }>({
  id: 'cpu-tsc',
  title: 'cpu.read_tsc counts up',
  ref: 'SDM 3B 17.17',
  about: ['cpu.read_tsc'],
  runsOn: 'all',
  guest(a) {
    const loop = a.fresh('tsc');
    const fine = a.fresh('tsc');
    a.op('cpu.read_tsc').text(
      'mov esi, eax; mov edi, edx; xor ebp, ebp; mov ebx, 100; mov [kernel.scratch], eax',
    );
    a.text(`${loop}:`)
      .op('cpu.read_tsc')
      .text('mov ecx, eax; sub ecx, esi; mov ecx, edx; sbb ecx, edi');
    a.text(`jae ${fine}; inc ebp; ${fine}:; mov esi, eax; mov edi, edx; dec ebx; jne ${loop}`);
    a.text('mov eax, esi; sub eax, [kernel.scratch]; mov ebx, 100').report('moved', 'eax');
    a.report('back', 'ebp').report('steps', 'ebx');
  },
  check({ steps, back, moved }, t) {
    t.equal(back, 0, `readings of ${steps} that went back`);
    t.ok(moved >= 100 && moved < 2 ** 31, 'it has moved on');
  },
});
