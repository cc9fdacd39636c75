// Each call of a PV guest with arguments that Xen refuses, and what the kernel then reads in RAX.

import { describe, expect, it } from 'vitest';
import * as errno from '../xen/abi/errno.ts';
import * as memory from '../xen/abi/memory.ts';
import * as abi from './abi.ts';
import * as phys from './physdev-abi.ts';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';

const { EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } = errno;
const SELF = 0x7ff0;
const FOREIGN = 5;
/** Where nothing is mapped; where Xen itself lives; what is no address. */
const UNMAPPED = 0x1000;
const XEN = -0x7f80_0000_0000;
const NO_ADDRESS = 2n ** 63n;

const CALLBACKOP_register = 0;
const CALLBACKOP_unregister = 1;
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
type Word = number | 'page 0' | 'page 1' | 'page 2';
/** A command and the words of its structure; those of page 0 that it does not name are as the last call left them. */
const commanded =
  (call: string) =>
  (says: string, [cmd, ...words]: readonly [number, ...Word[]], result: number): Case => ({
    says,
    call,
    words: (p) => words.map((word) => wordOf(p, word)),
    args: (p) => [cmd, at0(p)],
    result,
  });
function wordOf(p: ProgramParts, word: Word): number {
  if (typeof word === 'number') return word;
  return word === 'page 0' ? p.page(0) : p.mfn(word === 'page 1' ? 1 : 2);
}
const physdev = commanded('physdev_op');
const memoryOp = commanded('memory_op');

/** Lists of frames and of page numbers in page 3; the pages are mapped, and so cannot be exchanged. */
function exchanges(): readonly Case[] {
  const { XENMEM_exchange } = memory;
  const words = (given: number, order: number, domid = SELF): readonly [number, ...Word[]] => [
    XENMEM_exchange,
    0,
    given,
    order,
    domid,
    0,
    1,
    0,
    domid,
    0,
  ];
  return [
    memoryOp('pages of too large an extent', words(1, 10), -EPERM),
    memoryOp('more pages than it gives', words(2, 0), -EINVAL),
    memoryOp('pages of another', words(1, 0, 0), -EPERM),
    memoryOp('pages of nobody', words(1, 0, FOREIGN), -ESRCH),
    memoryOp('a list of pages that is not there', words(1, 0), -EFAULT),
  ];
}

const CASES: readonly Case[] = [
  { says: 'an unknown call', call: 'none', args: () => [], result: -ENOSYS },
  {
    says: 'a trap table that is not there',
    call: 'set_trap_table',
    args: () => [UNMAPPED],
    result: -EFAULT,
  },
  { says: 'a trap table in Xen', call: 'set_trap_table', args: () => [XEN], result: -EFAULT },
  {
    says: 'the machine',
    call: 'platform_op',
    words: () => [0x0300_0001 * 2 ** 32],
    args: (p) => [at0(p)],
    result: -EPERM,
  },
  {
    says: 'the machine, by structures of another version',
    call: 'platform_op',
    words: () => [0],
    args: (p) => [at0(p)],
    result: -EACCES,
  },
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
    result: -ENODEV,
  },
  {
    says: 'a debug register that is not there',
    call: 'get_debugreg',
    args: () => [8],
    result: -ENODEV,
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
  ext('to flush all caches', () => [abi.MMUEXT_FLUSH_CACHE_GLOBAL], -EINVAL),
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
    says: 'a callback at no address',
    call: 'callback_op',
    words: () => [0, NO_ADDRESS],
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
  physdev('to unmask', [phys.PHYSDEVOP_IRQ_UNMASK_NOTIFY], 0),
  physdev('an interrupt that may be', [phys.PHYSDEVOP_irq_status_query, 55], 0),
  physdev('one that may not', [phys.PHYSDEVOP_irq_status_query, 56], -EINVAL),
  physdev('an IOPL of 4', [phys.PHYSDEVOP_set_iopl, 4], -EINVAL),
  physdev('a bitmap of too many ports', [phys.PHYSDEVOP_set_iobitmap, 0, 65537], -EINVAL),
  physdev('a bitmap in Xen', [phys.PHYSDEVOP_set_iobitmap, XEN, 1], -EINVAL),
  physdev('an APIC', [phys.PHYSDEVOP_apic_read], -EPERM),
  physdev('an APIC', [phys.PHYSDEVOP_apic_write], -EPERM),
  physdev('a vector', [phys.PHYSDEVOP_alloc_irq_vector], -EPERM),
  physdev('the end of no interrupt', [phys.PHYSDEVOP_eoi, 55], -EINVAL),
  physdev('another number for one', [phys.PHYSDEVOP_get_free_pirq, 0], 0),
  physdev('the end of that', [phys.PHYSDEVOP_eoi, 55], 0),
  physdev('the end of a lower one', [phys.PHYSDEVOP_eoi, 54], -EINVAL),
  physdev('to map one', [phys.PHYSDEVOP_map_pirq, SELF], -EPERM),
  physdev('to map one of another', [phys.PHYSDEVOP_map_pirq, 0], -EPERM),
  physdev('to unmap one of another', [phys.PHYSDEVOP_unmap_pirq, 0], -EPERM),
  physdev('to unmap one of nobody', [phys.PHYSDEVOP_unmap_pirq, FOREIGN], -ESRCH),
  physdev('no GSI', [phys.PHYSDEVOP_setup_gsi, 24], -EINVAL),
  physdev('a GSI', [phys.PHYSDEVOP_setup_gsi, 23], -EPERM),
  physdev('a map in no frame', [phys.PHYSDEVOP_pirq_eoi_gmfn_v1, 2 ** 40], -EINVAL),
  physdev('a map in no frame', [phys.PHYSDEVOP_pirq_eoi_gmfn_v2, 2 ** 40], -EINVAL),
  physdev('a map', [phys.PHYSDEVOP_pirq_eoi_gmfn_v2, 'page 1'], 0),
  physdev('another map', [phys.PHYSDEVOP_pirq_eoi_gmfn_v2, 'page 2'], -EBUSY),
  ...[
    phys.PHYSDEVOP_manage_pci_add,
    phys.PHYSDEVOP_manage_pci_remove,
    phys.PHYSDEVOP_restore_msi,
    phys.PHYSDEVOP_manage_pci_add_ext,
    phys.PHYSDEVOP_pci_mmcfg_reserved,
    phys.PHYSDEVOP_pci_device_add,
    phys.PHYSDEVOP_pci_device_remove,
    phys.PHYSDEVOP_restore_msi_ext,
    phys.PHYSDEVOP_dbgp_op,
    phys.PHYSDEVOP_prepare_msix,
    phys.PHYSDEVOP_release_msix,
  ].map((cmd) => physdev(`a device (${cmd})`, [cmd], -EPERM)),
  {
    says: 'a device that cannot be read',
    call: 'physdev_op',
    args: () => [phys.PHYSDEVOP_pci_device_add, UNMAPPED],
    result: -EFAULT,
  },
  memoryOp('a page at its place', [memory.XENMEM_add_to_physmap, SELF], -EACCES),
  memoryOp('a page of another', [memory.XENMEM_add_to_physmap, SELF + 2 ** 34], -ENOSYS),
  memoryOp('a page of nobody', [memory.XENMEM_add_to_physmap, FOREIGN], -ESRCH),
  memoryOp('pages at their places', [memory.XENMEM_add_to_physmap_batch, SELF], -EACCES),
  memoryOp('a range', [memory.XENMEM_add_to_physmap_batch, SELF + 2 ** 17 + 2 ** 16], -EOPNOTSUPP),
  memoryOp('a page from its place', [memory.XENMEM_remove_from_physmap, SELF], -EACCES),
  memoryOp('a page from its place', [memory.XENMEM_remove_from_physmap, FOREIGN], -ESRCH),
  memoryOp('memory of the machine', [memory.XENMEM_machine_memory_map], -EPERM),
  memoryOp("another's map", [memory.XENMEM_set_memory_map, 0, 0, 0], -EPERM),
  memoryOp('a map of too many lines', [memory.XENMEM_set_memory_map, SELF, 1025], -EINVAL),
  memoryOp('a map that is not there', [memory.XENMEM_set_memory_map, SELF, 1, UNMAPPED], -EFAULT),
  memoryOp('a line of no room', [memory.XENMEM_memory_map, 1, UNMAPPED], -EFAULT),
  memoryOp('no line', [memory.XENMEM_memory_map, 0, UNMAPPED], 0),
  memoryOp('a target', [memory.XENMEM_set_pod_target, 0, 0, 0, 0, SELF], -EINVAL),
  memoryOp('a target', [memory.XENMEM_get_pod_target, 0, 0, 0, 0, FOREIGN], -ESRCH),
  memoryOp('shared pages', [memory.XENMEM_get_sharing_shared_pages], 0),
  memoryOp('freed pages', [memory.XENMEM_get_sharing_freed_pages], 0),
  memoryOp('access of another', [memory.XENMEM_access_op, 0], -EINVAL),
  memoryOp('access of nobody', [memory.XENMEM_access_op, FOREIGN * 2 ** 16], -ESRCH),
  memoryOp('a claim', [memory.XENMEM_claim_pages, 0, 1, 0, 0], -EPERM),
  memoryOp('a claim for itself', [memory.XENMEM_claim_pages, 0, 1, 0, SELF], -EINVAL),
  memoryOp('a list', [memory.XENMEM_machphys_compat_mfn_list], -EOPNOTSUPP),
  memoryOp('a list of all lines', [memory.XENMEM_machphys_mfn_list, 9, 'page 0'], 0),
  memoryOp('nodes', [memory.XENMEM_get_vnumainfo, SELF], -EOPNOTSUPP),
  memoryOp('nodes of another', [memory.XENMEM_get_vnumainfo, 0], -EPERM),
  memoryOp('nodes, and what must be 0', [memory.XENMEM_get_vnumainfo, 2 ** 16], -EINVAL),
  memoryOp('devices and more', [memory.XENMEM_reserved_device_memory_map, 2], -EINVAL),
  memoryOp('devices', [memory.XENMEM_reserved_device_memory_map, 2 ** 32], 0),
  memoryOp('what is of another', [memory.XENMEM_acquire_resource, 0, 0], -EPERM),
  memoryOp('what is of nobody', [memory.XENMEM_acquire_resource, FOREIGN, 0], -ESRCH),
  memoryOp('extents too large', [memory.XENMEM_populate_physmap, 0, 1, 10, SELF], 0),
  memoryOp('pages for nobody', [memory.XENMEM_increase_reservation, 0, 1, 0, FOREIGN], 0),
  ...exchanges(),
  {
    says: 'a handler of NMIs at no address',
    call: 'nmi_op',
    words: () => [NO_ADDRESS],
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
