// cpu.load_gs_index must load GS as ring 3 will have it, leave the kernel's base alone, and take 0 for what cannot be loaded.

import { defineProbe } from '../define.ts';

const [MSR_GS_BASE, MSR_KERNEL_GS_BASE] = [0xc0000101, 0xc0000102];
/** An entry of the TLS: data of ring 3 with a base. */
const ENTRY = 6;
const SELECTOR = (ENTRY << 3) | 3;
const BASE = 0x12340;
const DESCRIPTOR = { low: 0x2340ffff, high: 0x00cff301 } as const;

export const cpuGsIndex = defineProbe<{
  selector: number;
  base: number;
  own: number;
  refused: number;
}>({
  id: 'cpu-gs-index',
  title: "cpu.load_gs_index sets GS and its base for ring 3, not the kernel's base; a bad one is 0",
  ref: 'arch/x86/kernel/entry_64.S native_load_gs_index (2.6.32); xen-x86_64.h SEGBASE_GS_USER_SEL',
  about: ['cpu.load_gs_index'],
  runsOn: ({ bits }) => (bits === 64 ? null : 'for 64 bits only'),
  guest(a) {
    const describe = (low: number, high: number) => {
      a.text(`mov dword ptr [kernel.scratch], ${low}; mov dword ptr [kernel.scratch+4], ${high}`);
      a.text(`mov rax, kernel.gdt; mov edx, ${ENTRY}; mov rcx, kernel.scratch`);
      a.op('cpu.write_gdt_entry');
    };
    a.text(`mov ecx, ${MSR_GS_BASE}; mov eax, 0x7770; xor edx, edx`).op('cpu.write_msr');
    describe(DESCRIPTOR.low, DESCRIPTOR.high);
    a.text(`mov eax, ${SELECTOR}`).op('cpu.load_gs_index');
    a.text('mov eax, gs').report('selector', 'eax');
    a.text(`mov ecx, ${MSR_KERNEL_GS_BASE}`).op('cpu.read_msr').report('base', 'eax');
    a.text(`mov ecx, ${MSR_GS_BASE}`).op('cpu.read_msr').report('own', 'eax');
    a.text('xor eax, eax').op('cpu.load_gs_index');
    describe(0, 0);
    a.text(`mov eax, ${SELECTOR}`).op('cpu.load_gs_index');
    a.text('mov eax, gs').report('refused', 'eax');
  },
  check({ selector, base, own, refused }, t) {
    t.equal(selector, SELECTOR, 'the selector');
    t.equal(base, BASE, 'the base that ring 3 will have');
    t.equal(own, 0x7770, "the kernel's own");
    t.equal(refused, 0, 'the selector of an empty entry');
  },
});
