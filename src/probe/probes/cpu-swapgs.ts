// cpu.swapgs must exchange the base of GS with the one that is kept for the kernel.

import { defineProbe } from '../define.ts';

const [MSR_GS_BASE, MSR_KERNEL_GS_BASE] = [0xc0000101, 0xc0000102];

export const cpuSwapgs = defineProbe<{ swapped: number; kept: number; back: number }>({
  id: 'cpu-swapgs',
  title: 'cpu.swapgs exchanges the two bases of GS',
  ref: 'SDM 2B SWAPGS',
  about: ['cpu.swapgs'],
  runsOn: ({ bits, traits }) => {
    if (bits === 32) return 'there is no SWAPGS in 32 bits';
    return traits.kernelRing === 0
      ? null
      : 'it is a no-op: the hypervisor changes the base of GS itself';
  },
  guest(a) {
    const write = (msr: number, value: number) =>
      a.text(`mov ecx, ${msr}; mov eax, ${value}; xor edx, edx`).op('cpu.write_msr');
    const read = (msr: number, name: string) =>
      a.text(`mov ecx, ${msr}`).op('cpu.read_msr').report(name, 'eax');
    write(MSR_GS_BASE, 0x1110);
    write(MSR_KERNEL_GS_BASE, 0x2220);
    a.op('cpu.swapgs');
    read(MSR_GS_BASE, 'swapped');
    read(MSR_KERNEL_GS_BASE, 'kept');
    a.op('cpu.swapgs');
    read(MSR_GS_BASE, 'back');
  },
  check({ swapped, kept, back }, t) {
    t.equal(swapped, 0x2220, 'the base of GS');
    t.equal(kept, 0x1110, 'the one that is kept');
    t.equal(back, 0x1110, 'the base of GS, swapped back');
  },
});
