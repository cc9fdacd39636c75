// cpu.store_gdt and cpu.store_idt must give back what was loaded, cpu.store_tr the selector of the TSS.

import { defineProbe } from '../define.ts';

export const cpuStoreTables = defineProbe<{
  gdt_limit: number;
  gdt_moved: number;
  idt_moved: number;
  tr: number;
}>({
  id: 'cpu-store-tables',
  title: 'cpu.store_gdt, store_idt and store_tr name the tables that were loaded',
  ref: 'SDM 2B SGDT, SIDT, STR',
  about: ['cpu.store_gdt', 'cpu.store_idt', 'cpu.store_tr', 'cpu.load_tr_desc', 'cpu.load_idt'],
  runsOn: 'all',
  guest(a) {
    a.text('mov {ax}, kernel.scratch').op('cpu.store_gdt');
    a.text('movzx eax, word ptr [kernel.scratch]').report('gdt_limit', 'eax');
    a.text('mov eax, [kernel.scratch+2]; sub eax, kernel.gdt').report('gdt_moved', 'eax');
    a.text('mov {ax}, kernel.scratch').op('cpu.store_idt');
    a.text('mov eax, [kernel.scratch+2]; sub eax, kernel.idt').report('idt_moved', 'eax');
    a.op('cpu.store_tr').report('tr', 'eax');
  },
  check({ gdt_limit, gdt_moved, idt_moved, tr }, t) {
    t.equal(gdt_limit, 0xff, 'the limit of the GDT');
    t.equal(gdt_moved, 0, 'its base, from where the kernel has it');
    t.equal(idt_moved, 0, 'the base of the IDT');
    t.equal(tr & 0xfff8, 0x80, 'TR');
  },
});
