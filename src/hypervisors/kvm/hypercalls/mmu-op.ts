// The paravirtual MMU of 2.6.32: a buffer of page-table stores, flushes and releases, done as the guest queued them.

import type { SeenArguments } from '../../seen.ts';
import { KVM_FEATURE_MMU_OP } from '../abi.ts';
import type { KvmVcpu } from '../vcpu.ts';
import { defineHypercall } from './define.ts';

/** arch/x86/include/asm/kvm_para.h (2.6.32). */
const KVM_MMU_OP_WRITE_PTE = 1;
const KVM_MMU_OP_FLUSH_TLB = 2;
const KVM_MMU_OP_RELEASE_PT = 3;
/** The header {u32 op, u32 pad}, and each record with it. */
const HEADER_BYTES = 8;
const RECORD_BYTES: Readonly<Record<number, number>> = {
  [KVM_MMU_OP_WRITE_PTE]: 24,
  [KVM_MMU_OP_FLUSH_TLB]: 8,
  [KVM_MMU_OP_RELEASE_PT]: 16,
};
const RECORD_NAMES: Readonly<Record<number, string>> = {
  [KVM_MMU_OP_WRITE_PTE]: 'WRITE_PTE',
  [KVM_MMU_OP_FLUSH_TLB]: 'FLUSH_TLB',
  [KVM_MMU_OP_RELEASE_PT]: 'RELEASE_PT',
};
/** A guest's queue is 1024 bytes; one call works through no more, and the guest comes back for the rest. */
const BYTES_MAX = 1024;
const CR4_PAE = 1 << 5;

/**
 * The result is the bytes done, at a record's end. The guest subtracts it until nothing is left, so neither 0 nor an
 * error may come back while something is: a buffer that makes no sense is reported as done whole.
 */
export const mmuOp = defineHypercall({
  number: 2,
  name: 'KVM_HC_MMU_OP',
  ref: 'arch/x86/kvm/mmu.c kvm_pv_mmu_op (2.6.32)',
  offered: ({ features }) => (features & KVM_FEATURE_MMU_OP) !== 0,
  handle(vcpu, { a0, a1, a2 }) {
    const length = Number(a0 & 0xffff_ffffn);
    const gpa = Number(a1 & 0xffff_ffffn) + Number(a2 & 0xffff_ffffn) * 0x1_0000_0000;
    const limit = Math.min(length, BYTES_MAX);
    let done = 0;
    while (done + HEADER_BYTES <= limit) {
      const bytes = runRecord(vcpu, gpa + done, limit - done);
      if (bytes === 0) break;
      done += bytes;
    }
    return done > 0 ? done : length | 0;
  },
});

/** Bytes of the record; 0 if it is unknown, cut off or not in memory. */
function runRecord({ platform }: KvmVcpu, gpa: number, left: number): number {
  const op = platform.ram.u32(gpa);
  const bytes = RECORD_BYTES[op] ?? 0;
  const record = bytes > 0 && bytes <= left ? platform.ram.read(gpa, bytes) : null;
  if (!record || platform.lacks?.(`KVM_HC_MMU_OP.${RECORD_NAMES[op]}`)) return 0;
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const report = (name: string, args: SeenArguments) =>
    platform.seen?.(`KVM_HC_MMU_OP.${name}`, args, null, undefined, 'KVM_HC_MMU_OP');
  if (op === KVM_MMU_OP_FLUSH_TLB) {
    platform.cpu.mmu.flushNonGlobal();
    report('FLUSH_TLB', {});
  }
  if (op === KVM_MMU_OP_RELEASE_PT) report('RELEASE_PT', { table: view.getUint32(8, true) });
  if (op === KVM_MMU_OP_WRITE_PTE) {
    const pte = view.getUint32(8, true) + view.getUint32(12, true) * 0x1_0000_0000;
    const [lo, hi] = [view.getUint32(16, true), view.getUint32(20, true)];
    // Entries have 4 bytes without PAE, which long mode includes.
    if (platform.cpu.state.get('cr4') & CR4_PAE) platform.ram.setU64(pte, lo, hi);
    else platform.ram.setU32(pte, lo);
    report('WRITE_PTE', { entry: pte, value: lo >>> 0 });
  }
  return bytes;
}
