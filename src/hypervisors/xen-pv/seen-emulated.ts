// Privileged instructions that Xen has executed for a guest, reported by the names of the manifest.

import type { Decoded } from '../../cpu/decoded.ts';
import type { OperationId } from '../../ops/index.ts';
import { NO_ARGUMENTS } from '../seen.ts';
import type { PvDomain } from './pv-domain.ts';

const RCX = 1;
const PLAIN: Readonly<Record<string, readonly [entryPoint: string, operation: OperationId]>> = {
  clts: ['CLTS', 'cpu.clts'],
  invlpg: ['INVLPG', 'mmu.flush_tlb_single'],
  wbinvd: ['WBINVD', 'cpu.wbinvd'],
  cli: ['CLI', 'irq.irq_disable'],
  sti: ['STI', 'irq.irq_enable'],
};
const MSR = { rdmsr: ['RDMSR', 'cpu.read_msr'], wrmsr: ['WRMSR', 'cpu.write_msr'] } as const;
const READS: Readonly<Record<number, OperationId>> = {
  0: 'cpu.read_cr0',
  2: 'mmu.read_cr2',
  3: 'mmu.read_cr3',
  4: 'cpu.read_cr4',
};
const WRITES: Readonly<Record<number, OperationId>> = {
  0: 'cpu.write_cr0',
  2: 'mmu.write_cr2',
  3: 'mmu.write_cr3',
  4: 'cpu.write_cr4',
};
/** `MOV to CR3` and so on, by the register's number. */
const moves = (file: string) => ({
  to: Array.from({ length: 16 }, (_, n) => `MOV to ${file}${n}`),
  from: Array.from({ length: 16 }, (_, n) => `MOV from ${file}${n}`),
});
const MOVES = { CR: moves('CR'), DR: moves('DR') };

export function reportEmulated({ platform, cpu }: PvDomain, d: Decoded): void {
  const { seen } = platform;
  if (!seen) return;
  const { name } = d.insn;
  if (name === 'rdmsr' || name === 'wrmsr') {
    const [entryPoint, operation] = MSR[name];
    return seen(entryPoint, { msr: `0x${cpu.state.gpr32(RCX).toString(16)}` }, null, operation);
  }
  if (name !== 'mov') {
    const [entryPoint, operation] = PLAIN[name] ?? [name.toUpperCase()];
    return seen(entryPoint, NO_ARGUMENTS, null, operation);
  }
  const [to, from] = d.operands;
  const special = [to, from].find((o) => o?.kind === 'reg' && o.file !== 'gpr');
  if (special?.kind !== 'reg') return;
  const n = d.regs[special.slot] ?? 0;
  const write = special === to;
  const debug = write ? 'cpu.set_debugreg' : 'cpu.get_debugreg';
  const operation = special.file === 'cr' ? (write ? WRITES : READS)[n] : debug;
  const names = MOVES[special.file === 'cr' ? 'CR' : 'DR'][write ? 'to' : 'from'];
  seen(names[n]!, NO_ARGUMENTS, null, operation);
}
