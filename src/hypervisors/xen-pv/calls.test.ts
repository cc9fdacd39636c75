// Each call of a PV guest with arguments that Xen refuses, and what the kernel then reads in RAX.

import { describe, expect, it } from 'vitest';
import * as errno from '../xen/abi/errno.ts';
import * as memory from '../xen/abi/memory.ts';
import * as abi from './abi.ts';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';

const { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } = errno;
const SELF = 0x7ff0;
const FOREIGN = 5;
/** Where nothing is mapped, and where Xen itself lives. */
const UNMAPPED = 0x1000;
const XEN = -0x7f80_0000_0000;

const CALLBACKOP_register = 0;
const CALLBACKOP_unregister = 1;
const PHYSDEVOP_irq_unmask_notify = 2;
const PHYSDEVOP_irq_status_query = 5;
const PHYSDEVOP_set_iopl = 6;
const PHYSDEVOP_set_iobitmap = 7;
const PHYSDEVOP_apic_read = 8;
const PHYSDEVOP_apic_write = 9;
const PHYSDEVOP_alloc_irq_vector = 10;
const PHYSDEVOP_eoi = 12;
const PHYSDEVOP_map_pirq = 13;
const PHYSDEVOP_unmap_pirq = 14;
const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28;
const XENNMI_register_callback = 0;

/** A call, perhaps with words stored in page 0 first, and its result. */
interface Case {
  readonly says: string;
  readonly call: string;
  readonly args: (p: ProgramParts) => readonly (number | bigint)[];
  readonly words?: (p: ProgramParts) => readonly (number | bigint)[];
  readonly result: number;
}

const at0 = (p: ProgramParts) => p.page(0);
const ext = (says: string, words: Case['words'], result: number): Case => ({
  says,
  call: 'mmuext_op',
  words: words!,
  args: (p) => [at0(p), 1, 0, SELF],
  result,
});
const physdev = (says: string, cmd: number, result: number): Case => ({
  says,
  call: 'physdev_op',
  args: (p) => [cmd, at0(p)],
  result,
});
const memoryOp = (says: string, cmd: number, result: number): Case => ({
  says,
  call: 'memory_op',
  args: (p) => [cmd, at0(p)],
  result,
});

const CASES: readonly Case[] = [
  { says: 'an unknown call', call: 'none', args: () => [], result: -ENOSYS },
  {
    says: 'a trap table that is not there',
    call: 'set_trap_table',
    args: () => [UNMAPPED],
    result: -EFAULT,
  },
  { says: 'a trap table in Xen', call: 'set_trap_table', args: () => [XEN], result: -EFAULT },
  { says: 'a stack in Xen', call: 'stack_switch', args: () => [0, XEN], result: -EINVAL },
  { says: 'platform_op', call: 'platform_op', args: (p) => [at0(p)], result: -EPERM },
  {
    says: 'a GDT of too many entries',
    call: 'set_gdt',
    args: (p) => [at0(p), 14 * 512 + 1],
    result: -EINVAL,
  },
  {
    says: 'a list of GDT frames that is not there',
    call: 'set_gdt',
    args: () => [UNMAPPED, 1],
    result: -EFAULT,
  },
  {
    says: 'a descriptor at an address that is not a multiple of 8',
    call: 'update_descriptor',
    args: (p) => [p.mfn(1) * 4096 + 4, 0],
    result: -EINVAL,
  },
  {
    says: "a descriptor in a frame that is not the domain's",
    call: 'update_descriptor',
    args: () => [0xff_ffff_f000, 0],
    result: -EINVAL,
  },
  {
    says: 'a descriptor of a TSS',
    call: 'update_descriptor',
    args: (p) => [p.mfn(1) * 4096, 0x0000_8900_0000_0067n],
    result: -EINVAL,
  },
  { says: 'a breakpoint on Xen', call: 'set_debugreg', args: () => [0, XEN], result: -EPERM },
  {
    says: 'a debug register that is not there',
    call: 'set_debugreg',
    args: () => [8, 0],
    result: -EINVAL,
  },
  {
    says: 'a debug register that is not there',
    call: 'get_debugreg',
    args: () => [8],
    result: -EINVAL,
  },
  {
    says: 'a base that is not canonical',
    call: 'set_segment_base',
    args: () => [abi.SEGBASE_FS, 2n ** 63n],
    result: -EINVAL,
  },
  {
    says: 'a segment register that is not there',
    call: 'set_segment_base',
    args: () => [4, 0],
    result: -EINVAL,
  },
  { says: 'an assist that is not there', call: 'vm_assist', args: () => [0, 9], result: -EINVAL },
  {
    says: 'an assist of 32-bit guests',
    call: 'vm_assist',
    args: () => [0, abi.VMASST_TYPE_4gb_segments],
    result: -EINVAL,
  },
  {
    says: 'neither to enable nor to disable',
    call: 'vm_assist',
    args: () => [2, abi.VMASST_TYPE_writable_pagetables],
    result: -ENOSYS,
  },
  {
    says: 'an address that no table maps',
    call: 'update_va_mapping',
    args: () => [UNMAPPED, 0, 0],
    result: -EINVAL,
  },
  {
    says: 'an address of Xen',
    call: 'update_va_mapping',
    args: () => [XEN, 0, 0],
    result: -EINVAL,
  },
  {
    says: 'a page of a domain that is not there',
    call: 'update_va_mapping_otherdomain',
    args: (p) => [p.page(1), 0, 0, FOREIGN],
    result: -ESRCH,
  },
  {
    says: 'a page of the control domain',
    call: 'update_va_mapping_otherdomain',
    args: (p) => [p.page(1), 0, 0, 0],
    result: -EPERM,
  },
  {
    says: 'requests that are not there',
    call: 'mmu_update',
    args: () => [UNMAPPED, 1, 0, SELF],
    result: -EFAULT,
  },
  {
    says: 'a domain that is not there',
    call: 'mmu_update',
    args: (p) => [at0(p), 1, 0, FOREIGN],
    result: -ESRCH,
  },
  {
    says: 'a command that is not there',
    call: 'mmu_update',
    words: (p) => [p.mfn(1) * 4096 + 5, 0],
    args: (p) => [at0(p), 1, 0, SELF],
    result: -ENOSYS,
  },
  {
    says: "a frame that is not the domain's",
    call: 'mmu_update',
    words: () => [0xff_ffff_f000, 0],
    args: (p) => [at0(p), 1, 0, SELF],
    result: -EINVAL,
  },
  {
    says: "the number of a frame that is not the domain's",
    call: 'mmu_update',
    words: () => [0xff_ffff_f001, 0],
    args: (p) => [at0(p), 1, 0, SELF],
    result: -EINVAL,
  },
  {
    says: 'operations that are not there',
    call: 'mmuext_op',
    args: () => [UNMAPPED, 1, 0, SELF],
    result: -EFAULT,
  },
  { says: 'another domain', call: 'mmuext_op', args: (p) => [at0(p), 1, 0, 0], result: -EPERM },
  ext('an operation that is not there', () => [99, 0], -ENOSYS),
  ext('to pin a frame that is not there', () => [abi.MMUEXT_PIN_L4_TABLE, 2 ** 40], -EINVAL),
  ext('to unpin what is not pinned', (p) => [abi.MMUEXT_UNPIN_TABLE, p.mfn(1)], -EINVAL),
  ext(
    'a base pointer to a page that is mapped writable',
    (p) => [abi.MMUEXT_NEW_BASEPTR, p.mfn(1)],
    -EINVAL,
  ),
  ext(
    'a user base pointer to such a page',
    (p) => [abi.MMUEXT_NEW_USER_BASEPTR, p.mfn(1)],
    -EINVAL,
  ),
  ext('to flush the caches', () => [abi.MMUEXT_FLUSH_CACHE], -EACCES),
  ext('to flush all caches', () => [abi.MMUEXT_FLUSH_CACHE_GLOBAL], -EACCES),
  ext('superpages', () => [abi.MMUEXT_MARK_SUPER, 0], -EOPNOTSUPP),
  ext('an LDT of too many entries', (p) => [abi.MMUEXT_SET_LDT, p.page(1), 8193], -EINVAL),
  ext('an LDT within a page', (p) => [abi.MMUEXT_SET_LDT, p.page(1) + 8, 1], -EINVAL),
  ext('an LDT in Xen', () => [abi.MMUEXT_SET_LDT, XEN, 1], -EINVAL),
  ext('to clear a frame that is not there', () => [abi.MMUEXT_CLEAR_PAGE, 2 ** 40], -EINVAL),
  ext(
    'to copy from a frame that is not there',
    (p) => [abi.MMUEXT_COPY_PAGE, p.mfn(1), 2 ** 40],
    -EINVAL,
  ),
  {
    says: 'a callback in Xen',
    call: 'callback_op',
    words: () => [0, XEN],
    args: (p) => [CALLBACKOP_register, at0(p)],
    result: -EINVAL,
  },
  {
    says: 'a callback type that is not there',
    call: 'callback_op',
    words: () => [6, 0],
    args: (p) => [CALLBACKOP_register, at0(p)],
    result: -ENOSYS,
  },
  {
    says: 'to lose the event callback',
    call: 'callback_op',
    words: () => [0],
    args: (p) => [CALLBACKOP_unregister, at0(p)],
    result: -EINVAL,
  },
  {
    says: 'a callback that is not there',
    call: 'callback_op',
    args: () => [CALLBACKOP_register, UNMAPPED],
    result: -EFAULT,
  },
  physdev('irq_unmask_notify', PHYSDEVOP_irq_unmask_notify, -EPERM),
  physdev('irq_status_query', PHYSDEVOP_irq_status_query, -EINVAL),
  { ...physdev('an IOPL of 4', PHYSDEVOP_set_iopl, -EINVAL), words: () => [4] },
  {
    ...physdev('a bitmap of too many ports', PHYSDEVOP_set_iobitmap, -EINVAL),
    words: () => [0, 65537],
  },
  physdev('apic_read', PHYSDEVOP_apic_read, -EPERM),
  physdev('apic_write', PHYSDEVOP_apic_write, -EPERM),
  physdev('alloc_irq_vector', PHYSDEVOP_alloc_irq_vector, -EPERM),
  physdev('eoi', PHYSDEVOP_eoi, -EINVAL),
  physdev('map_pirq', PHYSDEVOP_map_pirq, -EPERM),
  physdev('unmap_pirq', PHYSDEVOP_unmap_pirq, -EPERM),
  physdev('pirq_eoi_gmfn_v2', PHYSDEVOP_pirq_eoi_gmfn_v2, -ENOSYS),
  memoryOp('add_to_physmap', memory.XENMEM_add_to_physmap, -EINVAL),
  memoryOp('machine_memory_map', memory.XENMEM_machine_memory_map, -EPERM),
  memoryOp('set_memory_map', memory.XENMEM_set_memory_map, -EPERM),
  {
    says: 'a map with no room for a line',
    call: 'memory_op',
    words: () => [0],
    args: (p) => [memory.XENMEM_memory_map, at0(p)],
    result: -EINVAL,
  },
  {
    says: 'NMIs',
    call: 'nmi_op',
    args: (p) => [XENNMI_register_callback, at0(p)],
    result: -EINVAL,
  },
  {
    says: 'performance counters',
    call: 'xenpmu_op',
    args: (p) => [0, at0(p)],
    result: -EOPNOTSUPP,
  },
  {
    says: "the hypervisor's console",
    call: 'console_io',
    args: (p) => [0, 4, at0(p)],
    result: -EPERM,
  },
];

describe('Xen refuses', () => {
  // One guest makes all the calls: a machine for each would take its time.
  const { results, why } = runProgram((p) => {
    const one = ({ call, args, words }: Case) =>
      [
        ...(words?.(p) ?? []).map((value, n) => p.store(p.page(0) + n * 8, value)),
        p.call(call, ...args(p)),
      ].join('; ');
    return [...CASES.map(one), p.done].join('; ');
  });

  it('and the guest lives on', () => {
    expect(why).toContain('poweroff');
    expect(results).toHaveLength(CASES.length);
  });

  it.each(CASES.map((c, n) => [c.call, c.says, c.result, n] as const))(
    '%s: %s',
    (_call, _says, result, n) => {
      expect(results[n]).toBe(result);
    },
  );
});
