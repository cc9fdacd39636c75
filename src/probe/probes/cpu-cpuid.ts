// cpu.cpuid must describe the processor that the kernel runs on, and say whether somebody is beneath.

import { defineProbe } from '../define.ts';

const [FPU, TSC, PAE, FXSR] = [1 << 0, 1 << 4, 1 << 6, 1 << 24];

export const cpuCpuid = defineProbe<{
  highest: number;
  features: number;
  again: number;
  hypervisor: number;
}>({
  id: 'cpu-cpuid',
  title: 'cpu.cpuid answers alike each time, with what the kernel could not run without',
  ref: 'SDM 2A CPUID',
  about: ['cpu.cpuid'],
  runsOn: 'all',
  guest(a) {
    const leaf = (n: number) => a.text(`mov eax, ${n}; xor ecx, ecx`).op('cpu.cpuid');
    leaf(0);
    a.report('highest', 'eax');
    leaf(1);
    a.report('features', 'edx').report('hypervisor', 'ecx');
    leaf(1);
    a.report('again', 'edx');
  },
  check({ highest, features, again }, t) {
    const needed = FPU | TSC | PAE | FXSR;
    t.ok(highest >= 1 && highest < 0x100, 'a highest leaf');
    t.equal(features & needed, needed, 'FPU, TSC, PAE and FXSR');
    t.equal(again, features, 'features, asked again');
  },
});
