// Loads of tables and task registers that the processor must refuse: selectors of another type, of nothing, bases that are no address.

import { defineProbe } from '../define.ts';

const GP = 13;
const [CODE, TSS] = [0x60, 0x80];
/** In the type of a TSS. SDM 3A 7.2.2. */
const BUSY = 2;
const MSR_KERNEL_GS_BASE = 0xc0000102;

export const cpuTablesRefused = defineProbe<{
  ltr_null: number;
  ltr_busy: number;
  ltr_busy_error: number;
  ltr_code: number;
  ltr_code_error: number;
  lldt_code: number;
  lldt_code_error: number;
  lgdt?: number;
  lidt?: number;
  base?: number;
}>({
  id: 'cpu-tables-refused',
  title:
    'no null, busy or wrong descriptor is loaded into TR or LDTR, and no base that is no address',
  ref: 'SDM 2A LLDT, LTR, LGDT/LIDT, 2B WRMSR',
  about: ['cpu.load_tr_desc', 'cpu.set_ldt', 'cpu.load_gdt', 'cpu.load_idt'],
  runsOn: ({ traits }) =>
    traits.privileged === 'native' ? null : "the instructions are not the guest's own",
  guest(a) {
    a.text('xor eax, eax').tryInsn('ltr ax', 'ltr_null');
    // Should it be taken, the right one is back before anything needs it; and so below.
    a.text(`and byte ptr [kernel.gdt+${TSS + 5}], ${~BUSY & 0xff}; mov eax, ${TSS}; ltr ax`);
    a.text(`mov eax, ${TSS}`).tryInsn('ltr ax', 'ltr_busy');
    a.text(`mov eax, ${CODE}`).tryInsn('ltr ax', 'ltr_code');
    a.text(`mov eax, ${CODE}`).tryInsn('lldt ax', 'lldt_code');
    if (a.bits === 32) return;
    a.text(
      'mov rax, 0x800000000000; mov [kernel.scratch+2], rax; mov word ptr [kernel.scratch], 7',
    );
    a.tryInsn('lgdt [kernel.scratch]', 'lgdt').text('lgdt [kernel.gdt_record]');
    a.tryInsn('lidt [kernel.scratch]', 'lidt').text('lidt [kernel.idt_record]');
    a.text(`mov ecx, ${MSR_KERNEL_GS_BASE}; xor eax, eax; mov edx, 0x8000`);
    a.op('cpu.write_msr').report('base', 'ecx');
  },
  check(answers, t) {
    t.fault(answers.ltr_null, GP, 'LTR of a null selector');
    t.fault(answers.ltr_busy, GP, 'LTR of the TSS that is loaded');
    t.equal(answers.ltr_busy_error, TSS, 'its error code');
    t.fault(answers.ltr_code, GP, 'LTR of a code segment');
    t.equal(answers.ltr_code_error, CODE, 'its error code');
    t.fault(answers.lldt_code, GP, 'LLDT of a code segment');
    t.equal(answers.lldt_code_error, CODE, 'its error code');
    if (t.facts.bits === 32) return;
    t.fault(answers.lgdt ?? -1, GP, 'LGDT of a base that is not canonical');
    t.fault(answers.lidt ?? -1, GP, 'LIDT of one');
    t.equal(answers.base ?? -1, 1, 'the answer of write_msr for a base that is not canonical');
  },
});
