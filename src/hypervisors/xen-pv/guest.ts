// The guest side of Xen PV in both word sizes: hypercalls, pages shared with Xen, events for interrupts.

import { defineGuest, type GuestBinding, type GuestCode, type GuestNote } from '../../ops/index.ts';
import { readPvclock } from '../hw/pvclock-guest.ts';
import { ENOSYS } from '../xen/abi/errno.ts';
import { SCHEDOP_block, SCHEDOP_shutdown } from '../xen/abi/sched.ts';
import { sharedInfo, vcpuInfo } from '../xen/abi/xen.ts';
import { putByteInRing } from '../xen/guest-console.ts';
import { readStolenTime } from '../xen/guest-runstate.ts';
import * as abi from './abi.ts';
import {
  ARGUMENTS_BYTES,
  type Bits,
  CALL_CLOBBERS,
  callOp,
  ENTRY_BYTES,
  emitCalls,
  hypercall,
  LAZY,
  lazyCall,
  QUEUE_CALLS,
} from './guest-calls.ts';
import { descriptorOperations } from './guest-descriptors.ts';
import { refusals } from './guest-refusals.ts';
import { returns } from './guest-returns.ts';
import { startGuest } from './guest-start.ts';
import { tableOperations } from './guest-tables.ts';
import {
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from './image-notes.ts';
import { PHYSDEVOP_set_iopl } from './physdev-abi.ts';

export const CLOCK_VECTOR = 0x20;
const IF = 0x200;
const GP = 13;
const BILLION = 1e9;
/** A number between those of the last call and of the first that is an architecture's own. */
const NO_CALL = 0x37;

const NOTES: readonly GuestNote[] = [
  { owner: 'Xen', type: XEN_ELFNOTE_ENTRY, value: { label: 'xen_pv.entry' } },
  { owner: 'Xen', type: XEN_ELFNOTE_HYPERCALL_PAGE, value: { label: 'xen_pv.calls' } },
  { owner: 'Xen', type: XEN_ELFNOTE_VIRT_BASE, value: 0 },
  { owner: 'Xen', type: XEN_ELFNOTE_PADDR_OFFSET, value: 0 },
  { owner: 'Xen', type: XEN_ELFNOTE_XEN_VERSION, value: { text: 'xen-3.0' } },
  { owner: 'Xen', type: XEN_ELFNOTE_GUEST_OS, value: { text: 'pvops-probe' } },
  { owner: 'Xen', type: XEN_ELFNOTE_LOADER, value: { text: 'generic' } },
  { owner: 'Xen', type: XEN_ELFNOTE_FEATURES, value: { text: 'pae_pgdir_above_4gb' } },
];
const PAE_NOTE: GuestNote = { owner: 'Xen', type: XEN_ELFNOTE_PAE_MODE, value: { text: 'yes' } };

function bindingOf(bits: Bits): GuestBinding {
  const op = callOp(bits);
  const free = (text: string, by: string) => op(text, by, { clobbers: [] });
  const nothing = free('', 'no-op');
  const call = (name: string, ...args: readonly (string | number | null)[]) =>
    hypercall(bits, name, ...args);
  const wide = bits === 64;
  const vcpu = (wide ? vcpuInfo.wide : vcpuInfo.narrow).offsetOf;
  const shared = (wide ? sharedInfo.wide : sharedInfo.narrow).offsetOf;
  const at = (offset: number) => `xen_pv.shared+${offset}`;
  const mask = at(vcpu('evtchn_upcall_mask'));
  const pending = at(vcpu('evtchn_upcall_pending'));
  const cr2 = at(vcpu('arch'));
  /** On the way from masked to not, what has come in between is asked for. */
  const unmask = (code: GuestCode): void => {
    const done = code.fresh('unmasked');
    code.text(`mov byte ptr [${mask}], 0; cmp byte ptr [${pending}], 0; je ${done}`);
    code.text(`${call('xen_version', 0, 0)}; ${done}:`);
  };
  const lazyMode = (mode: keyof typeof LAZY) =>
    free(`mov dword ptr [xen_pv.lazy], ${LAZY[mode]}`, 'a mark in memory');
  const leaveLazyMode = op('mov dword ptr [xen_pv.lazy], 0; call xen_pv.flush', 'multicall');
  /** sched.h, SHUTDOWN_*. */
  const shutDown = (reason: number) =>
    op(
      `mov dword ptr [xen_pv.op], ${reason}; ${call('sched_op', SCHEDOP_shutdown, 'xen_pv.op')}`,
      'sched_op.SCHEDOP_shutdown',
    );
  const upcallMask = 'vcpu_info.evtchn_upcall_mask';
  return {
    id: 'xen-pv',
    bits: [bits],
    traits: {
      kernelRing: wide ? 3 : 1,
      pageTables: 'checked',
      pc: false,
      privileged: 'emulated',
      patching: 'inline',
    },
    start: {
      label: 'xen_pv.entry',
      // SI is start_info (xen.h, start-of-day).
      emit: (code) =>
        code.text(
          'mov [kernel.boot_argument], {si}; mov {sp}, kernel.stack_top; cld; jmp kernel.main',
        ),
      notes: wide ? NOTES : [...NOTES, PAE_NOTE],
    },
    init: startGuest,
    operations: {
      ...tableOperations(bits),
      ...descriptorOperations(bits),
      'cpu.clts': op(lazyCall(bits, 'cpu', 'fpu_taskswitch', 0), 'fpu_taskswitch', { lazy: 'cpu' }),
      'cpu.get_debugreg': op(call('get_debugreg', '{ax}'), 'get_debugreg'),
      'cpu.set_debugreg': op(
        wide
          ? `mov rsi, rdx; ${call('set_debugreg', 'rax', null)}`
          : `mov ecx, edx; ${call('set_debugreg', 'eax', null)}`,
        'set_debugreg',
      ),
      'cpu.load_sp0': op(
        wide
          ? `mov rsi, rax; ${lazyCall(bits, 'cpu', 'stack_switch', abi.FLAT_RING3_DS, null)}`
          : `mov ecx, eax; ${lazyCall(bits, 'cpu', 'stack_switch', abi.FLAT_RING1_DS, null)}`,
        'stack_switch',
        { lazy: 'cpu' },
      ),
      'cpu.io_delay': nothing,
      // Without the prefix the processor answers by itself, and says what Xen would not (arch-x86/xen.h, XEN_CPUID).
      'cpu.cpuid': {
        emit: (code) => code.bytes(0x0f, 0x0b, 0x78, 0x65, 0x6e).text('cpuid'),
        by: 'CPUID behind XEN_EMULATE_PREFIX',
      },
      ...returns(bits),
      'cpu.set_iopl_mask': op(
        `shr eax, 12; mov [xen_pv.op], eax; ${call('physdev_op', PHYSDEVOP_set_iopl, 'xen_pv.op')}`,
        'physdev_op.PHYSDEVOP_set_iopl',
      ),
      'cpu.start_context_switch': lazyMode('cpu'),
      'cpu.end_context_switch': leaveLazyMode,
      'irq.save_fl': op(`xor eax, eax; cmp byte ptr [${mask}], 0; sete al; shl eax, 9`, upcallMask),
      'irq.restore_fl': {
        emit(code) {
          const [masked, done] = [code.fresh('masked'), code.fresh('done')];
          code.text(`test eax, ${IF}; je ${masked}`);
          unmask(code);
          code.text(`jmp ${done}; ${masked}:; mov byte ptr [${mask}], 1; ${done}:`);
        },
        clobbers: CALL_CLOBBERS[bits],
        by: upcallMask,
      },
      'irq.irq_disable': op(`mov byte ptr [${mask}], 1`, upcallMask),
      'irq.irq_enable': { emit: unmask, clobbers: CALL_CLOBBERS[bits], by: upcallMask },
      'irq.safe_halt': op(call('sched_op', SCHEDOP_block, 0), 'sched_op.SCHEDOP_block'),
      'irq.halt': op(call('sched_op', SCHEDOP_block, 0), 'sched_op.SCHEDOP_block'),
      ...(wide && {
        'irq.adjust_exception_frame': {
          emit: (code: GuestCode) => void code.text('pop rcx; pop r11'),
        },
      }),
      'mmu.read_cr2': op(`mov {ax}, [${cr2}]`, 'vcpu_info.arch.cr2'),
      'mmu.write_cr2': op(`mov [${cr2}], {ax}`, 'vcpu_info.arch.cr2'),
      'mmu.lazy_mode.enter': lazyMode('mmu'),
      'mmu.lazy_mode.leave': leaveLazyMode,
      'time.sched_clock': {
        ...readPvclock(`xen_pv.shared; add {si}, ${vcpu('time')}`),
        by: 'vcpu_info.time',
      },
      'time.get_wallclock': {
        emit: (code) =>
          code
            .op('time.sched_clock')
            .text(`add eax, [${at(shared('wc_nsec'))}]; adc edx, 0; mov ecx, ${BILLION}; div ecx`)
            .text(`add eax, [${at(shared('wc_sec'))}]`),
        by: 'shared_info.wc',
      },
      'time.steal_clock': {
        emit: (code) =>
          readStolenTime(code, 'xen_pv', (name, ...args) => void code.text(call(name, ...args))),
        clobbers: CALL_CLOBBERS[bits],
        by: 'vcpu_op.VCPUOP_get_runstate_info',
      },
      'apic.setup_boot_clock': nothing,
      'machine.power_off': shutDown(0),
      'machine.restart': shutDown(1),
    },
    cannot: {
      'cpu.read_cr8': 'Xen emulates accesses to CR0, CR2, CR3 and CR4 only',
      'cpu.write_cr8': 'Xen emulates accesses to CR0, CR2, CR3 and CR4 only',
      'cpu.store_gdt': 'SGDT answers with the table of Xen',
      'cpu.store_idt': 'SIDT answers with the table of Xen',
      'cpu.write_idt_entry': 'set_trap_table takes handlers, not gates',
      'apic.read': 'a PV guest has no local APIC',
      'apic.write': 'a PV guest has no local APIC',
      'apic.eoi_write': 'a PV guest has no local APIC',
    },
    console: {
      emit: (code) =>
        putByteInRing(code, 'xen_pv', (to, name, ...args) => void to.text(call(name, ...args))),
      clobbers: CALL_CLOBBERS[bits],
    },
    clock: {
      vector: CLOCK_VECTOR,
      arm(code) {
        code.text('mov ebx, eax').op('time.sched_clock');
        if (wide)
          code.text(`shl rdx, 32; or rax, rdx; add rax, rbx; ${call('set_timer_op', 'rax')}`);
        else
          code.text(
            `add eax, ebx; adc edx, 0; mov ebx, eax; mov ecx, edx; ${call('set_timer_op', null, null)}`,
          );
      },
      acknowledge: (code) =>
        code.text(
          [
            `mov byte ptr [${pending}], 0`,
            `mov {word} ptr [${at(vcpu('evtchn_pending_sel'))}], 0`,
            `mov {word} ptr [${at(shared('evtchn_pending'))}], 0`,
          ].join('; '),
        ),
      clobbers: CALL_CLOBBERS[bits],
    },
    nullCall: op(call('xen_version', 0, 0), 'xen_version.XENVER_version'),
    badCall: {
      ...op(`mov eax, ${NO_CALL}; call xen_pv.call_now`, 'none'),
      answer: -ENOSYS >>> 0,
    },
    refusals: refusals(bits),
    memory: [
      { label: 'xen_pv.calls', bytes: 4096, align: 4096 },
      { label: 'xen_pv.shared', bytes: 4096, align: 4096 },
      { label: 'xen_pv.last_l2', bytes: 4096, align: 4096 },
      { label: 'xen_pv.traps', bytes: 16 * 256, align: 16 },
      { label: 'xen_pv.op', bytes: 64, align: 64 },
      ...[
        'p2m',
        'cr3',
        'console',
        'console_port',
        'lazy',
        'queued',
        'argument_bytes',
        'last_count',
      ].map((name) => ({
        label: `xen_pv.${name}`,
        bytes: 8,
        align: 8,
      })),
      { label: 'xen_pv.arguments', bytes: ARGUMENTS_BYTES + 64, align: 64 },
      { label: 'xen_pv.entries', bytes: QUEUE_CALLS * ENTRY_BYTES, align: 64 },
    ],
    beside(code) {
      emitCalls(code);
      const adjust = wide ? 'pop rcx; pop r11; ' : '';
      code.text(`xen_pv.event:; ${adjust}push 0; push ${CLOCK_VECTOR}; jmp kernel.trap`);
      // DS, ES, FS and GS over the frame: what a return could not load is #GP, as Linux makes it.
      code.text(`xen_pv.failsafe:; ${adjust}add {sp}, ${4 * (bits / 8)}; push 0; push ${GP}`);
      code.text('jmp kernel.trap');
    },
  };
}

export const xenPvGuest = defineGuest({
  ...bindingOf(64),
  bits: [32, 64],
  in32: bindingOf(32),
});
