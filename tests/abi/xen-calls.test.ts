// Whether Xen's pages list every hypercall and sub-operation that Xen's public headers define.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findInterface } from '../../src/hypervisors/index.ts';

const HEADERS = '/usr/include/xen';
/** Families of numbers: header, prefix, and names of what is no sub-operation of its own or only another's older name. */
const SUB_OPERATIONS = [
  ['memory.h', 'XENMEM', /_op_|^XENMEM_(resource|RDM|FORK|SHARING)_|_range$/],
  ['sched.h', 'SCHEDOP', null],
  ['vcpu.h', 'VCPUOP', null],
  ['event_channel.h', 'EVTCHNOP', null],
  ['grant_table.h', 'GNTTABOP', /_error_msgs/],
  ['version.h', 'XENVER', null],
  ['nmi.h', 'XENNMI', null],
  ['callback.h', 'CALLBACKOP', null],
  [
    'physdev.h',
    'PHYSDEVOP',
    /_(DBGP|IRQ_STATUS|SET_IO|APIC|ASSIGN|FREE|IRQ_SHARED|IRQ_NEEDS)|_gmfn$/,
  ],
  ['xen.h', 'MMU', null],
  ['xen.h', 'MMUEXT', null],
  ['xen.h', 'VMASST_TYPE', null],
  ['arch-x86/xen-x86_64.h', 'SEGBASE', null],
  ['hvm/hvm_op.h', 'HVMOP', /_(altp2m_|ALTP2M_)/],
] as const;
/** The numbers of the architecture, which x86 has by other names. */
const ARCH = /^arch_\d$/;

const listed = (key: 'call' | 'sub'): ReadonlySet<string | undefined> =>
  new Set(
    ['xen-pv', 'xen-pvh']
      .flatMap((id) => findInterface(id).interface.calls ?? [])
      .map((fact) => fact[key]),
  );

function defined(header: string, prefix: string): string[] {
  const text = readFileSync(`${HEADERS}/${header}`, 'utf8');
  const found = text.matchAll(new RegExp(`^#define (${prefix}_\\w+)\\s+\\S`, 'gm'));
  return [...new Set([...found].map(([, name = '']) => name))];
}

describe.skipIf(!existsSync(HEADERS))('the tables of calls', () => {
  it('have every hypercall', () => {
    const calls = defined('xen.h', '__HYPERVISOR').map((name) =>
      name.slice('__HYPERVISOR_'.length),
    );
    expect(calls.length).toBeGreaterThan(40);
    const known = listed('call');
    const missing = calls.filter((name) => !ARCH.test(name) && !known.has(name));
    expect(missing).toEqual(['dom0_op']); // platform_op, as it was called.
  });

  it.each(SUB_OPERATIONS)('have every sub-operation of %s %s', (header, prefix, none) => {
    const names = defined(header, prefix).filter((name) => !none?.test(name));
    expect(names.length).toBeGreaterThan(1);
    const known = listed('sub');
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });
});
