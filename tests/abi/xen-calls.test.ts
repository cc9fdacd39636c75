// Whether Xen's pages list every hypercall and sub-operation that Xen's public headers define.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findInterface } from '../../src/hypervisors/index.ts';

const HEADERS = '/usr/include/xen';
/**
 * Families of numbers: header, prefix, names of what is no sub-operation of its own or only another's older name, and, where
 * an interface has fewer than all, those that it has not: its call is another one's, or refused whole.
 */
interface Family {
  readonly header: string;
  readonly prefix: string;
  readonly none?: RegExp;
  readonly without?: Readonly<Partial<Record<Interface, RegExp>>>;
}
type Interface = (typeof INTERFACES)[number];
const INTERFACES = ['xen-pv', 'xen-pvh'] as const;
const ALL = /^/;

const FAMILIES: readonly Family[] = [
  {
    header: 'memory.h',
    prefix: 'XENMEM',
    none: /_op_|^XENMEM_(resource|RDM|FORK|SHARING)_|_range$/,
  },
  { header: 'sched.h', prefix: 'SCHEDOP' },
  { header: 'vcpu.h', prefix: 'VCPUOP' },
  { header: 'event_channel.h', prefix: 'EVTCHNOP' },
  {
    header: 'grant_table.h',
    prefix: 'GNTTABOP',
    none: /_error_msgs/,
    // Xen 4.17, arch/x86/hvm/hypercall.c, hvm_grant_table_op.
    without: { 'xen-pvh': /_(transfer|unmap_and_replace|get_status_frames|cache_flush)$/ },
  },
  { header: 'version.h', prefix: 'XENVER' },
  { header: 'nmi.h', prefix: 'XENNMI', without: { 'xen-pvh': ALL } },
  { header: 'callback.h', prefix: 'CALLBACKOP', without: { 'xen-pvh': ALL } },
  {
    header: 'physdev.h',
    prefix: 'PHYSDEVOP',
    none: /_(DBGP|IRQ_STATUS|SET_IO|APIC|ASSIGN|FREE|IRQ_SHARED|IRQ_NEEDS)|_gmfn$/,
    without: { 'xen-pvh': ALL },
  },
  { header: 'xen.h', prefix: 'MMU', without: { 'xen-pvh': ALL } },
  { header: 'xen.h', prefix: 'MMUEXT', without: { 'xen-pvh': ALL } },
  {
    header: 'xen.h',
    prefix: 'VMASST_TYPE',
    without: { 'xen-pvh': /^(?!VMASST_TYPE_runstate_update_flag$)/ },
  },
  { header: 'arch-x86/xen-x86_64.h', prefix: 'SEGBASE', without: { 'xen-pvh': ALL } },
  { header: 'hvm/hvm_op.h', prefix: 'HVMOP', none: /_(altp2m_|ALTP2M_)/ },
];
/** The numbers of the architecture, which x86 has by other names; and platform_op, as it was called. */
const OTHER_NAMES = /^(arch_\d|dom0_op)$/;
/** Calls that guests of this kind cannot make (Xen 4.17, include/hypercall-defs.c): -ENOSYS as any number that there is not. */
const WITHOUT: Readonly<Record<Interface, readonly string[]>> = {
  'xen-pv': [],
  'xen-pvh': [
    ...['set_trap_table', 'mmu_update', 'set_gdt', 'stack_switch', 'set_callbacks'],
    ...['fpu_taskswitch', 'sched_op_compat', 'set_debugreg', 'get_debugreg', 'update_descriptor'],
    ...['update_va_mapping', 'event_channel_op_compat', 'physdev_op_compat'],
    ...['update_va_mapping_otherdomain', 'iret', 'set_segment_base', 'nmi_op', 'callback_op'],
    ...['xenoprof_op', 'kexec_op'],
  ],
};

const listed = (id: Interface, key: 'call' | 'sub'): ReadonlySet<string | undefined> =>
  new Set((findInterface(id).interface.calls ?? []).map((fact) => fact[key]));

function defined(header: string, prefix: string): string[] {
  const text = readFileSync(`${HEADERS}/${header}`, 'utf8');
  const found = text.matchAll(new RegExp(`^#define (${prefix}_\\w+)\\s+\\S`, 'gm'));
  return [...new Set([...found].map(([, name = '']) => name))];
}

describe.skipIf(!existsSync(HEADERS)).each(INTERFACES)('the table of calls of %s', (id) => {
  it('has every hypercall that its guests can make, and no other', () => {
    const calls = defined('xen.h', '__HYPERVISOR').map((name) =>
      name.slice('__HYPERVISOR_'.length),
    );
    expect(calls.length).toBeGreaterThan(40);
    const known = listed(id, 'call');
    const missing = calls.filter((name) => !OTHER_NAMES.test(name) && !known.has(name));
    expect(missing.toSorted()).toEqual(WITHOUT[id].toSorted());
  });

  it.each(FAMILIES)('has every sub-operation of $header $prefix', (family) => {
    const { header, prefix, none, without } = family;
    const names = defined(header, prefix).filter((name) => !none?.test(name));
    expect(names.length).toBeGreaterThan(1);
    const known = listed(id, 'sub');
    expect(names.filter((name) => !known.has(name))).toEqual(
      names.filter((name) => without?.[id]?.test(name)),
    );
  });
});
