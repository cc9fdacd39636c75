// Calls of 32-bit guests: those that Linux 2.6.32 makes on its way up, with its arguments, and what Xen refuses.

import { describe, expect, it } from 'vitest';
import * as evtchn from '../xen/abi/event-channel.ts';
import * as vcpu from '../xen/abi/vcpu.ts';
import * as abi from './abi.ts';
import { type Program32Parts, runProgram32 } from './testing/pv32-guest.ts';

const SELF = 0x7ff0;
const EPERM = -1;
const ENOENT = -2;
const EFAULT = -14;
const EINVAL = -22;
const ENOSYS = -38;
const EOPNOTSUPP = -95;
const UNMAPPED = 0x1000;
const XEN = 0xf580_0000;
const RO = 0x61;
const RW = 0x63;
/** Linux's GDT: kernel code 12, data 13, per-CPU data 27, TLS 6 to 8 (asm-x86/segment.h). */
const GDT = 2;
const KERNEL_CS = 0x60;
const KERNEL_DS = 0x68;
const PERCPU = 0xd8;
const TLS = 0x33;
const CODE = [0x0000_ffff, 0x00cf_9a00] as const;
const DATA = [0x0000_ffff, 0x00cf_9200] as const;
const DPL1 = 0x2000;
const ACCESSED = 0x100;

/** A call, perhaps with words stored in page 0 first, and its result. */
interface Case {
  readonly says: string;
  readonly call: string;
  readonly args: (p: Program32Parts) => readonly number[];
  readonly words?: (p: Program32Parts) => readonly number[];
  readonly result: number;
}
const at0 = (p: Program32Parts) => p.page(0);
const of = (call: string, says: string, result: number, ...args: readonly number[]): Case => ({
  says,
  call,
  args: () => args,
  result,
});
/** With its structure in page 0. */
const sub = (
  call: string,
  says: string,
  cmd: number,
  words: (p: Program32Parts) => readonly number[],
  result = 0,
): Case => ({ says, call, words, args: (p) => [cmd, at0(p)], result });
const vcpuOp = (
  says: string,
  cmd: number,
  words: (p: Program32Parts) => readonly number[],
  result = 0,
): Case => ({ says, call: 'vcpu_op', words, args: (p) => [cmd, 0, at0(p)], result });
const ext = (says: string, words: (p: Program32Parts) => readonly number[], result = 0): Case => ({
  says,
  call: 'mmuext_op',
  words,
  args: (p) => [at0(p), 1, 0, SELF],
  result,
});
const map = (says: string, page: number, flags: number): Case => ({
  says,
  call: 'update_va_mapping',
  args: (p) => [p.page(page), p.mfn(page) * 4096 + flags, 0, 0],
  result: 0,
});
/** Entries of a multicall behind each other: operation, result, six arguments. */
const entries = (...calls: readonly (readonly number[])[]) =>
  calls.flatMap(([op = 0, ...args]) => [
    op,
    -1,
    ...args,
    ...new Array<number>(6 - args.length).fill(0),
  ]);

function runCases(cases: readonly Case[], before: (p: Program32Parts) => string, after = before) {
  return runProgram32(
    (p) =>
      [
        before(p),
        ...cases.map(({ call, args, words }) =>
          [...(words ? [p.store(p.page(0), ...words(p))] : []), p.call(call, ...args(p))].join(
            '\n',
          ),
        ),
        after === before ? '' : after(p),
        p.done,
      ].join('\n'),
    { budget: 100_000 },
  );
}

/** In the order of the fact sheet's sections 14 and 15, each with the arguments of Linux 2.6.32 with PAE. */
const UP: readonly Case[] = [
  sub('xen_version', 'features', 6, () => [0, 0]),
  { says: 'a line for nobody', call: 'console_io', args: (p) => [0, 4, at0(p)], result: EPERM },
  sub('xen_version', 'where Xen begins', 5, () => [0]),
  sub('xen_version', 'what else the banner says', 1, () => [0]),
  sub('memory_op', 'the map of its memory', 9, (p) => [2, p.page(14)]),
  map('the GDT read-only', GDT, RO),
  {
    says: 'its GDT',
    call: 'set_gdt',
    words: (p) => [p.mfn(GDT)],
    args: (p) => [at0(p), 32],
    result: 0,
  },
  of('vm_assist', 'segments of 4 GiB', 0, 0, abi.VMASST_TYPE_4gb_segments),
  of('vm_assist', 'writable page tables', 0, 0, abi.VMASST_TYPE_writable_pagetables),
  of('vm_assist', 'extended CR3', 0, 0, abi.VMASST_TYPE_pae_extended_cr3),
  sub('callback_op', 'the event callback', 0, () => [
    abi.CALLBACKTYPE_event | (1 << 16),
    KERNEL_CS,
    0xc010_0000,
  ]),
  sub('callback_op', 'the failsafe callback', 0, () => [
    abi.CALLBACKTYPE_failsafe | (1 << 16),
    KERNEL_CS,
    0xc010_0000,
  ]),
  sub('callback_op', 'the entry for SYSENTER', 0, () => [
    abi.CALLBACKTYPE_sysenter | (1 << 16),
    KERNEL_CS,
    0xc010_0000,
  ]),
  sub('physdev_op', 'its IOPL', 6, () => [1]),
  sub('physdev_op', 'a page for ends of interrupts', 28, (p) => [p.mfn(15), 0]),
  vcpuOp('vcpu_info in a page of its own', vcpu.VCPUOP_register_vcpu_info, (p) => [
    p.mfn(6),
    0,
    0x40,
    0,
  ]),
  vcpuOp('and only once', vcpu.VCPUOP_register_vcpu_info, (p) => [p.mfn(6), 0, 0x80, 0], EINVAL),
  vcpuOp('the runstate', vcpu.VCPUOP_register_runstate_memory_area, (p) => [p.page(7), 0]),
  vcpuOp('a copy of the time', vcpu.VCPUOP_register_vcpu_time_memory_area, (p) => [p.page(16), 0]),
  {
    says: 'the IDT',
    call: 'set_trap_table',
    words: () => [
      14 | (4 << 8) | (KERNEL_CS << 16),
      0xc010_0000,
      0x80 | (3 << 8) | (KERNEL_CS << 16),
      0xc010_0000,
      0,
      0,
    ],
    args: (p) => [at0(p)],
    result: 0,
  },
  {
    says: 'the second vCPU is not there',
    call: 'vcpu_op',
    args: () => [vcpu.VCPUOP_is_up, 1, 0],
    result: ENOENT,
  },
  of('vcpu_op', 'no periodic timer', 0, vcpu.VCPUOP_stop_periodic_timer, 0, 0),
  sub('event_channel_op', 'VIRQ_TIMER', evtchn.EVTCHNOP_bind_virq, () => [0, 0, 0]),
  sub(
    'event_channel_op',
    'no priority without queues',
    evtchn.EVTCHNOP_set_priority,
    () => [3, 0],
    ENOSYS,
  ),
  sub('event_channel_op', 'VIRQ_DEBUG', evtchn.EVTCHNOP_bind_virq, () => [1, 0, 0]),
  ...['of rescheduling', 'of calls', 'of calls on one'].map((kind) =>
    sub('event_channel_op', `an IPI ${kind}`, evtchn.EVTCHNOP_bind_ipi, () => [0, 0]),
  ),
  of('xenpmu_op', 'no counters', EOPNOTSUPP, 0, 0),
  sub('event_channel_op', 'the console port is told', evtchn.EVTCHNOP_send, () => [1]),
  sub('event_channel_op', 'a port is unmasked', evtchn.EVTCHNOP_unmask, () => [3]),
  vcpuOp('a single shot, not in the past', vcpu.VCPUOP_set_singleshot_timer, () => [0, 1000, 1]),
  of('vcpu_op', 'and it is stopped', 0, vcpu.VCPUOP_stop_singleshot_timer, 0, 0),
  {
    says: 'a context switch: stack, TS, TLS, LDT',
    call: 'multicall',
    words: (p) => [
      ...entries(
        [3, KERNEL_DS, p.page(10)],
        [5, 1],
        [10, p.mfn(GDT) * 4096 + 6 * 8, 0, 0x1234_ffff, 0x00df_f200],
        [26, p.page(1), 1, 0, SELF],
        [999],
      ),
    ],
    args: (p) => [at0(p), 5],
    result: 0,
  },
  of('fpu_taskswitch', 'TS off', 0, 0),
  {
    says: 'version of the grant table',
    call: 'grant_table_op',
    words: () => [1],
    args: (p) => [8, at0(p), 1],
    result: 0,
  },
  {
    says: 'size of the grant table',
    call: 'grant_table_op',
    words: () => [SELF, 0, 0, 0],
    args: (p) => [6, at0(p), 1],
    result: 0,
  },
  {
    says: 'frames of the grant table',
    call: 'grant_table_op',
    words: (p) => [SELF, 1, 0, p.page(11)],
    args: (p) => [2, at0(p), 1],
    result: 0,
  },
  of('xen_version', 'look at events', 0x4_0011, 0, 0),
  of('sched_op', 'yield', 0, 0, 0),
  sub('memory_op', 'what it has', 3, () => [SELF], 2048),
  {
    says: 'a page is unmapped, to be given back',
    call: 'update_va_mapping',
    args: (p) => [p.page(13), 0, 0, abi.UVMF_INVLPG],
    result: 0,
  },
  sub('memory_op', 'a page less', 1, (p) => [p.page(12), 1, 0, 0, SELF], 1),
  sub('memory_op', 'and one more', 6, (p) => [p.page(12), 1, 0, 0, SELF], 1),
  of('set_debugreg', 'a breakpoint', 0, 0, 0xc010_0000),
  of('get_debugreg', 'and what it is', 0xc010_0000 | 0, 0),
];

/** In the forms of before Xen 3.0.3. */
const OLD: readonly Case[] = [
  of('sched_op_compat', 'yield', 0, 0, 0),
  of('sched_op_compat', 'poll, which came later', ENOSYS, 3, 0),
  {
    says: 'VIRQ_DEBUG',
    call: 'event_channel_op_compat',
    words: () => [evtchn.EVTCHNOP_bind_virq, 1, 0, 0],
    args: (p) => [at0(p)],
    result: 0,
  },
  {
    says: 'a port is told',
    call: 'event_channel_op_compat',
    words: () => [evtchn.EVTCHNOP_send, 1],
    args: (p) => [at0(p)],
    result: 0,
  },
  {
    says: 'queues, which came later',
    call: 'event_channel_op_compat',
    words: () => [evtchn.EVTCHNOP_init_control, 0],
    args: (p) => [at0(p)],
    result: ENOSYS,
  },
  of('event_channel_op_compat', 'a structure that is not there', EFAULT, UNMAPPED),
  {
    says: 'its IOPL',
    call: 'physdev_op_compat',
    words: () => [6, 1],
    args: (p) => [at0(p)],
    result: 0,
  },
  {
    says: 'an IOPL of 4',
    call: 'physdev_op_compat',
    words: () => [6, 4],
    args: (p) => [at0(p)],
    result: EINVAL,
  },
  of('physdev_op_compat', 'a structure in Xen', EFAULT, XEN),
];

describe('a kernel of before Xen 3.0.3', () => {
  const { results, why } = runProgram32((p) =>
    [
      ...OLD.map(({ call, args, words }) =>
        [words ? p.store(p.page(0), ...words(p)) : '', p.call(call, ...args(p))].join('\n'),
      ),
      'mov ebx, 2; mov ecx, 1; mov eax, 6; int 0x82',
    ].join('\n'),
  );

  it('says the reason of its shutdown in a register', () => {
    expect(why).toContain('reboot');
  });

  it.each(OLD.map((c, n) => [c.call, c.says, c.result, n] as const))(
    '%s: %s',
    (_call, _says, result, n) => {
      expect(results[n]).toBe(result);
    },
  );
});

describe('on its way up Linux 2.6.32 has what it asks for', () => {
  const before = (p: Program32Parts) =>
    [
      p.store(p.page(GDT) + KERNEL_CS, ...CODE),
      p.store(p.page(GDT) + KERNEL_DS, ...DATA),
      p.store(p.page(GDT) + PERCPU, ...DATA),
      p.store(p.page(1), abi.MMUEXT_SET_LDT, 0, 0),
      p.store(p.page(12), p.mfn(13)),
    ].join('\n');
  const after = (p: Program32Parts) =>
    [
      // Selectors of ring 1 by descriptors that said ring 0, the TLS entry, and the results of the multicall.
      `mov eax, ${KERNEL_DS | 1}; mov ss, ax; mov eax, ${PERCPU | 1}; mov fs, ax; mov eax, ${TLS}; mov gs, ax`,
      `mov eax, [${p.page(GDT) + KERNEL_CS + 4}]; ${p.keep('eax')}`,
      `mov eax, [${p.page(GDT) + 6 * 8}]; ${p.keep('eax')}`,
      `mov eax, fs:[${p.page(GDT) + KERNEL_DS + 4}]; ${p.keep('eax')}`,
      `movzx eax, byte ptr [${p.page(6) + 0x40}]; ${p.keep('eax')}`,
      `mov eax, [${p.page(7)}]; ${p.keep('eax')}; mov eax, [${p.page(11)}]; and eax, eax; setnz al; movzx eax, al; ${p.keep('eax')}`,
    ].join('\n');
  const { results, why, stop } = runCases(UP, before, after);

  it('and lives on', () => {
    expect([stop, why]).toEqual(['off', expect.stringContaining('poweroff')]);
    expect(results.slice(UP.length)).toEqual([
      CODE[1] | DPL1,
      0x1234_ffff,
      (DATA[1] | DPL1 | ACCESSED) & 0xffff_ffff,
      1,
      0,
      1,
    ]);
  });

  it.each(UP.map((c, n) => [c.call, c.says, c.result, n] as const))(
    '%s: %s',
    (_call, _says, result, n) => {
      expect(results[n]).toBe(result);
    },
  );
});

const REFUSED: readonly Case[] = [
  of('set_segment_base', 'a base, which 32-bit guests do not have', ENOSYS, 0, 0),
  of('none', 'an unknown call', ENOSYS),
  of('set_trap_table', 'a trap table in Xen', EFAULT, XEN),
  of('set_trap_table', 'a trap table that is not there', EFAULT, UNMAPPED),
  of('set_gdt', 'too many entries', EINVAL, UNMAPPED, 14 * 512 + 1),
  of('set_gdt', 'a list in Xen', EFAULT, XEN, 1),
  {
    says: 'a frame that is mapped writable',
    call: 'set_gdt',
    words: (p) => [p.mfn(4)],
    args: (p) => [at0(p), 1],
    result: EINVAL,
  },
  {
    says: 'a 64-bit code segment',
    call: 'update_descriptor',
    args: (p) => [p.mfn(4) * 4096, 0, 0xffff, 0x00af_9a00],
    result: EINVAL,
  },
  {
    says: 'a TSS',
    call: 'update_descriptor',
    args: (p) => [p.mfn(4) * 4096, 0, 0x67, 0x0000_8900],
    result: EINVAL,
  },
  {
    says: 'a gate into Xen',
    call: 'update_descriptor',
    args: (p) => [p.mfn(4) * 4096, 0, 0xe008_0000, 0x0000_8c00],
    result: EINVAL,
  },
  {
    says: 'an address within an entry',
    call: 'update_descriptor',
    args: (p) => [p.mfn(4) * 4096 + 4, 0, 0, 0],
    result: EINVAL,
  },
  {
    says: 'an address above all memory',
    call: 'update_descriptor',
    args: (p) => [p.mfn(4) * 4096, 1, 0, 0],
    result: EINVAL,
  },
  of('vm_assist', 'a strict table, which is for 64 bits', EINVAL, 0, abi.VMASST_TYPE_m2p_strict),
  sub(
    'callback_op',
    'SYSCALL of 64-bit programs',
    0,
    () => [abi.CALLBACKTYPE_syscall, KERNEL_CS, 0],
    ENOSYS,
  ),
  sub(
    'callback_op',
    'the first form of SYSENTER',
    0,
    () => [abi.CALLBACKTYPE_sysenter_deprecated, KERNEL_CS, 0],
    EINVAL,
  ),
  of('callback_op', 'a callback that is not there', EFAULT, 0, XEN - 8),
  ext('a fourth level', (p) => [abi.MMUEXT_PIN_L4_TABLE, p.mfn(4)], EINVAL),
  ext('an LDT in Xen', () => [abi.MMUEXT_SET_LDT, XEN, 1], EINVAL),
  ext('an L3 that is mapped writable', (p) => [abi.MMUEXT_PIN_L3_TABLE, p.mfn(4)], EINVAL),
  of('mmu_update', 'requests in Xen', EFAULT, XEN, 1, 0, SELF),
  sub('xen_version', 'features that are not there', 6, () => [1, 0], EINVAL),
  sub('memory_op', 'the map of the machine', 10, () => [0, 0], EPERM),
  sub('event_channel_op', 'a port above all', evtchn.EVTCHNOP_send, () => [1024], EINVAL),
];

describe('Xen refuses a 32-bit guest', () => {
  const { results, why } = runCases(REFUSED, () => '');

  it('and the guest lives on', () => {
    expect(why).toContain('poweroff');
  });

  it.each(REFUSED.map((c, n) => [c.call, c.says, c.result, n] as const))(
    '%s: %s',
    (_call, _says, result, n) => {
      expect(results[n]).toBe(result);
    },
  );
});

it('each entry of a multicall has a result of its own, in 32 bits', () => {
  const calls = [[5, 0], [999], [17, 0, 0], [14, XEN, 0, 0, 0], [13, 0, 0]] as const;
  const { results } = runProgram32((p) =>
    [
      p.store(p.page(0), ...entries(...calls)),
      p.call('multicall', p.page(0), calls.length),
      ...calls.map((_, n) => `mov eax, [${p.page(0) + n * 32 + 4}]; ${p.keep('eax')}`),
      p.call('multicall', XEN, 1),
      p.done,
    ].join('\n'),
  );
  expect(results).toEqual([0, 0, ENOSYS, 0x4_0011, EINVAL, EINVAL, EFAULT]);
});

it('set_callbacks names two entries by selector and address', () => {
  const { results, why } = runProgram32((p) =>
    [
      'mov ebx, 0xe018; mov ecx, entry; mov edx, 0xe018; mov esi, entry; mov eax, 4; int 0x82',
      p.keep('eax'),
      'push 0; push 0x71; push 0; push 0; mov eax, 23; int 0x82',
      'entry:',
      `mov eax, cs; ${p.keep('eax')}`,
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([0, 0xe019]);
});

it('an LDT is mapped when a selector of it is loaded, and a bad page is a fault of the guest', () => {
  const { results, why } = runProgram32((p) =>
    [
      p.store(p.page(20) + 8, 0x0000_ffff, 0x00cf_f200),
      p.call('update_va_mapping', p.page(20), p.mfn(20) * 4096 + RO, 0, abi.UVMF_INVLPG),
      p.store(p.page(0), abi.MMUEXT_SET_LDT, p.page(20), 1024),
      p.call('mmuext_op', p.page(0), 1, 0, SELF),
      `mov eax, 0xf; mov gs, ax; mov eax, gs; ${p.keep('eax')}`,
      // As long as it is used the page cannot be written; page 21 can, so it holds no descriptors.
      p.call('update_va_mapping', p.page(20), p.mfn(20) * 4096 + RW, 0, abi.UVMF_INVLPG),
      p.store(p.page(1), 14 | (0xe019 << 16), 0, 0, 0),
      `mov eax, fault; mov [${p.page(1) + 4}], eax`,
      p.call('set_trap_table', p.page(1)),
      'mov eax, 0x100f; mov gs, ax',
      p.done,
      'fault:',
      `mov eax, [esp]; ${p.keep('eax')}`,
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([0, 0, 0xf, -16, 0, 0]);
});
