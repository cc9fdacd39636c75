// Forms that many Xen programs have: a row of a topic, and the calls that take one structure.

import type { CommonParts, Parts, Value, XenProgram } from './program.ts';

export const DOMID_SELF = 0x7ff0;
/** A domain that there is not. */
export const NOBODY = 0x123;
/** Where nothing is mapped; where Xen lives; what is no address. */
export const UNMAPPED = 0x5000;
export const XEN = -0x7f80_0000_0000;
export const NOT_CANONICAL = 2n ** 63n;
/** A frame beyond all memory, and one that does not fit an entry. */
export const NO_FRAME = 0xffffff;
export const HUGE_FRAME = 2n ** 40n;
export const [P, RW, US, PWT, PCD, A, D, PSE, G] = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;
export const NX = 1n << 63n;

/** Numbers of hypercalls (xen/include/public/xen.h, __HYPERVISOR_*). */
export const CALL = {
  set_trap_table: 0,
  mmu_update: 1,
  set_gdt: 2,
  stack_switch: 3,
  set_callbacks: 4,
  fpu_taskswitch: 5,
  platform_op: 7,
  set_debugreg: 8,
  get_debugreg: 9,
  update_descriptor: 10,
  memory_op: 12,
  multicall: 13,
  update_va_mapping: 14,
  set_timer_op: 15,
  xen_version: 17,
  console_io: 18,
  grant_table_op: 20,
  vm_assist: 21,
  update_va_mapping_otherdomain: 22,
  iret: 23,
  vcpu_op: 24,
  set_segment_base: 25,
  mmuext_op: 26,
  xsm_op: 27,
  nmi_op: 28,
  sched_op: 29,
  callback_op: 30,
  xenoprof_op: 31,
  event_channel_op: 32,
  physdev_op: 33,
  hvm_op: 34,
  sysctl: 35,
  domctl: 36,
  kexec_op: 37,
  tmem_op: 38,
  argo_op: 39,
  xenpmu_op: 40,
  dm_op: 41,
} as const;
export type CallName = keyof typeof CALL;

export function row<P extends CommonParts = Parts>(
  name: string,
  ref: string,
  code: XenProgram<P>['code'],
): XenProgram<P> {
  return { name, ref, code };
}

/** Lines, one after the other. */
export const lines = (...parts: readonly string[]): string => parts.join('\n');

/** 64-bit words into page 0. */
export const words = (p: CommonParts, ...values: readonly Value[]): string =>
  lines(...values.map((value, n) => p.store(p.page(0) + n * 8, value)));

/** A call of a command and one structure, which is put into page 0. */
export const op = (
  p: CommonParts,
  call: CallName,
  cmd: number,
  ...fields: readonly Value[]
): string => lines(words(p, ...fields), p.call(CALL[call], cmd, p.page(0)));

/** One operation of mmuext_op. */
export const ext = (p: Parts, cmd: number, arg1: Value = 0, arg2: Value = 0): string =>
  lines(words(p, cmd, arg1, arg2), p.call(CALL.mmuext_op, p.page(0), 1, 0, DOMID_SELF));

/** One update of mmu_update. */
export const update = (p: Parts, pointer: Value, value: Value, domain = DOMID_SELF): string =>
  lines(words(p, pointer, value), p.call(CALL.mmu_update, p.page(0), 1, 0, domain));

/** What one of the program's own pages is mapped on, by update_va_mapping. */
export const map = (p: Parts, n: number, entry: Value, flush = 2): string =>
  p.call(CALL.update_va_mapping, p.page(n), entry, flush);

/** The page's own frame, with these flags. */
export const remap = (p: Parts, n: number, flags: number | bigint): string =>
  map(p, n, p.machine(n, flags));

/** A page that is mapped read-only, and pinned as a table of this level. */
export const pinned = (p: Parts, n: number, level: 1 | 2 | 3 | 4): string =>
  lines(remap(p, n, P), ext(p, level - 1, p.mfn(n)));

/** Whether a page can be written: the vector of a store to it. */
export const tryStore = (p: Parts, n: number): string =>
  p.attempt(`mov rbx, ${p.page(n)}; mov [rbx], rbx`);
