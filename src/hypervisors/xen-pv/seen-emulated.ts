// Privileged instructions that Xen has executed for a guest, reported by the names of the manifest.

import type { Decoded } from '../../cpu/decoded.ts';
import type { OperationId } from '../../ops/index.ts';
import type { PvDomain } from './pv-domain.ts';

const RCX = 1;
const PLAIN: Readonly<Record<string, OperationId>> = {
  clts: 'cpu.clts',
  invlpg: 'mmu.flush_tlb_single',
  wbinvd: 'cpu.wbinvd',
  cli: 'irq.irq_disable',
  sti: 'irq.irq_enable',
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

export function reportEmulated({ platform, cpu }: PvDomain, d: Decoded): void {
  const { seen } = platform;
  if (!seen) return;
  const { name } = d.insn;
  if (name === 'rdmsr' || name === 'wrmsr') {
    const [entryPoint, operation] = MSR[name];
    return seen(entryPoint, { msr: `0x${cpu.state.gpr32(RCX).toString(16)}` }, null, operation);
  }
  if (name !== 'mov') return seen(name.toUpperCase(), {}, null, PLAIN[name]);
  const [to, from] = d.operands;
  const special = [to, from].find((o) => o?.kind === 'reg' && o.file !== 'gpr');
  if (special?.kind !== 'reg') return;
  const n = d.regs[special.slot] ?? 0;
  const write = special === to;
  const debug = write ? 'cpu.set_debugreg' : 'cpu.get_debugreg';
  const operation = special.file === 'cr' ? (write ? WRITES : READS)[n] : debug;
  const file = special.file === 'cr' ? 'CR' : 'DR';
  seen(`MOV ${write ? 'to' : 'from'} ${file}${n}`, {}, null, operation);
}
