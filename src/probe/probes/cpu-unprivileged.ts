// What only a kernel may do must be refused to ring 3, each instruction by itself.

import { defineProbe, type ProbeCode } from '../define.ts';
import { inUserMode } from '../user-mode.ts';

const GP = 13;
const CALL = 0x80;
const USER_DATA = 0x7b;

/** By the name of its answer; with a word size where it has one only. SDM 3A 5.9. */
const INSTRUCTIONS: readonly (readonly [name: string, text: string, only?: 32 | 64])[] = [
  ['read_cr0', 'mov {ax}, cr0'],
  ['write_cr0', 'mov cr0, {ax}'],
  ['clts', 'clts'],
  ['read_cr2', 'mov {ax}, cr2'],
  ['read_cr3', 'mov {ax}, cr3'],
  ['write_cr3', 'mov cr3, {ax}'],
  ['read_cr4', 'mov {ax}, cr4'],
  ['write_cr4', 'mov cr4, {ax}'],
  ['read_cr8', 'mov rax, cr8', 64],
  ['read_dr7', 'mov {ax}, dr7'],
  ['write_dr7', 'mov dr7, {ax}'],
  ['lgdt', 'lgdt [kernel.gdt_record]'],
  ['lidt', 'lidt [kernel.idt_record]'],
  ['lldt', 'lldt ax'],
  ['ltr', 'ltr ax'],
  ['invlpg', 'invlpg [kernel.scratch]'],
  ['wbinvd', 'wbinvd'],
  ['rdmsr', 'rdmsr'],
  ['wrmsr', 'wrmsr'],
  ['rdpmc', 'rdpmc'],
  ['hlt', 'hlt'],
  ['cli', 'cli'],
  ['sti', 'sti'],
  ['in', 'in al, 0x61'],
  ['out', 'out 0x80, al'],
  ['swapgs', 'swapgs', 64],
  ['sysret', 'sysret', 64],
  ['sysexit', 'sysexit', 32],
];

const available = (bits: 32 | 64) => INSTRUCTIONS.filter(([, , only]) => (only ?? bits) === bits);

export const cpuUnprivileged = defineProbe<Record<string, number>>({
  id: 'cpu-unprivileged',
  title: 'instructions of the kernel fault in ring 3',
  ref: 'SDM 3A 5.9; SDM 1 19.5',
  about: [
    ...(['cpu.read_cr0', 'cpu.write_cr0', 'cpu.clts', 'cpu.read_cr4', 'cpu.write_cr4'] as const),
    ...(['cpu.load_gdt', 'cpu.load_idt', 'cpu.load_tr_desc', 'cpu.wbinvd'] as const),
    ...(['cpu.read_msr', 'cpu.write_msr', 'cpu.read_pmc'] as const),
    ...(['irq.irq_disable', 'irq.irq_enable', 'irq.safe_halt'] as const),
    ...(['mmu.read_cr2', 'mmu.read_cr3', 'mmu.write_cr3', 'mmu.flush_tlb_single'] as const),
  ],
  runsOn: 'all',
  guest(a) {
    a.op('irq.irq_disable');
    for (const [name, text] of available(a.bits)) {
      inUserMode(a, `${dataSegment(a)}${text}; int ${CALL}`);
      a.text('mov eax, [trap.vector]').report(name, 'eax');
    }
  },
  check(answers, t) {
    for (const [name, text] of available(t.facts.bits))
      t.fault(answers[name] ?? -1, GP, text.replaceAll(/[{}]/g, ''));
  },
});

/** On the way to ring 3 it has been emptied, and would fault by itself. */
const dataSegment = ({ bits }: ProbeCode): string =>
  bits === 32 ? `mov eax, ${USER_DATA}; mov ds, ax; ` : '';
