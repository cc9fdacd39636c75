// Privileged instructions that no interface asks for, reported all the same: each exits, is named, and is then let run.

import type { Exit, InstructionExit } from '../../cpu/border.ts';
import type { Cpu } from '../../cpu/core.ts';
import { COUNTED, countInPlace, takeCount } from '../../cpu/counted.ts';
import {
  type ExitPolicy,
  POLICY_CR_READ,
  POLICY_CR_WRITE,
  POLICY_DESCRIPTORS,
  POLICY_DR,
  POLICY_INVLPG,
  setPolicy,
} from '../../cpu/policy.ts';
import type { OperationId } from '../../ops/index.ts';
import type { Seen, SeenEnd } from '../seen.ts';
import type { TableWatcher } from './table-watcher.ts';

const WATCHED = POLICY_CR_READ | POLICY_CR_WRITE | POLICY_DR | POLICY_INVLPG | POLICY_DESCRIPTORS;
/** Of these the CPU counts the frequent ones itself, if that is all that is wanted. */
const IN_PLACE = POLICY_CR_READ | POLICY_CR_WRITE | POLICY_INVLPG;
const COUNTS: readonly (readonly [which: number, name: string, operation: OperationId])[] = [
  [COUNTED.readCr2, 'MOV from CR2', 'mmu.read_cr2'],
  [COUNTED.readCr3, 'MOV from CR3', 'mmu.read_cr3'],
  [COUNTED.writeCr3, 'MOV to CR3', 'mmu.write_cr3'],
  [COUNTED.rewriteCr3, 'MOV to CR3', 'mmu.flush_tlb_user'],
  [COUNTED.invlpg, 'INVLPG', 'mmu.flush_tlb_single'],
];
const CS = 1;
const REX_R = 4;
const READS: Readonly<Record<number, OperationId>> = {
  0: 'cpu.read_cr0',
  2: 'mmu.read_cr2',
  3: 'mmu.read_cr3',
  4: 'cpu.read_cr4',
  8: 'cpu.read_cr8',
};
const WRITES: Readonly<Record<number, OperationId>> = {
  0: 'cpu.write_cr0',
  2: 'mmu.write_cr2',
  3: 'mmu.write_cr3',
  4: 'cpu.write_cr4',
  8: 'cpu.write_cr8',
};
/** 0F 01 with a memory operand, by the reg field: SDM 2D appendix A, group 7. */
const GROUP7: readonly (readonly [name: string, operation: OperationId] | null)[] = [
  ['SGDT', 'cpu.store_gdt'],
  ['SIDT', 'cpu.store_idt'],
  ['LGDT', 'cpu.load_gdt'],
  ['LIDT', 'cpu.load_idt'],
  null,
  null,
  ['LMSW', 'cpu.write_cr0'],
  ['INVLPG', 'mmu.flush_tlb_single'],
];

/** The same vCPU, whose guest is stopped at each of those instructions for as long as it takes to name it. */
export function seenInstructions(
  cpu: Cpu,
  own: ExitPolicy,
  { seen, entered, onlyCounts, counted }: SeenEnd,
  tables: TableWatcher | null = null,
): Pick<Cpu, 'run' | 'retired'> {
  const more = { ...own, instructions: own.instructions | WATCHED };
  const extra = (exit: Exit): exit is InstructionExit =>
    exit.kind === 'instruction' && (exit.policy & own.instructions) === 0;
  const inPlace = tables ? 0 : IN_PLACE & ~own.instructions;
  return {
    retired: () => cpu.retired(),
    run(budget) {
      const end = cpu.retired() + budget;
      for (;;) {
        setPolicy(cpu.state, more);
        countInPlace(cpu, counted && onlyCounts?.() ? inPlace : 0);
        const exit = cpu.run(end - cpu.retired());
        setPolicy(cpu.state, own);
        if (counted) tell(cpu, counted);
        entered();
        if (!extra(exit)) return exit;
        report(cpu, exit, seen);
        const step = cpu.run(1);
        tables?.update();
        if (step.kind !== 'budget' || cpu.retired() >= end) return step;
      }
    },
  };
}

function tell(cpu: Cpu, counted: NonNullable<SeenEnd['counted']>): void {
  for (const [which, name, operation] of COUNTS) {
    const times = takeCount(cpu, which);
    if (times > 0) counted(name, operation, times);
  }
}

function report(cpu: Cpu, exit: InstructionExit, seen: Seen): void {
  const { state } = cpu;
  const [second = 0, modrm = 0, rex = 0] = opcodeOf(cpu, exit.bytes);
  const n = ((modrm >> 3) & 7) | (rex & REX_R ? 8 : 0);
  if (second === 0x06) return seen('CLTS', {}, null, 'cpu.clts');
  if (second === 0x20) return seen(`MOV from CR${n}`, {}, null, READS[n]);
  if (second === 0x21) return seen('MOV from DRn', { n }, null, 'cpu.get_debugreg');
  if (second === 0x23) {
    return seen('MOV to DRn', { n, value: hex(state.arg64(1)) }, null, 'cpu.set_debugreg');
  }
  if (second === 0x22) {
    const value = state.arg64(1);
    // What CR3 holds already only drops translations.
    const same = n === 3 && value === state.get64('cr3');
    const operation = same ? 'mmu.flush_tlb_user' : WRITES[n];
    return seen(`MOV to CR${n}`, { value: hex(value) }, null, operation);
  }
  const found = second === 0x01 ? GROUP7[(modrm >> 3) & 7] : null;
  if (found) return seen(found[0], { address: state.argVa(0) }, null, found[1]);
  return seen(`policy bit ${31 - Math.clz32(exit.policy)}`, {}, null);
}

/**
 * Second opcode byte, ModRM and REX of the instruction at RIP, which was just fetched: its page is in the fetch TLB, so that
 * looking leaves no trace. Empty if it crosses a page.
 */
function opcodeOf({ state, mmu, views, layout }: Cpu, bytes: number): number[] {
  const va = state.getVa('rip') + state.segBase(CS);
  const gpa = mmu.fetch(va);
  if (gpa < 0 || (gpa & 0xfff) + bytes > 0x1000) return [];
  const at = layout.ramBase + gpa;
  let rex = 0;
  for (let n = 0; n + 2 < bytes + 1; n++) {
    const byte = views.u8[at + n]!;
    if (byte === 0x0f) return [views.u8[at + n + 1]!, views.u8[at + n + 2] ?? 0, rex];
    rex = state.get('codeMode') === 64 && (byte & 0xf0) === 0x40 ? byte : 0;
  }
  return [];
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
