// The guest side of Xen PVH: hardware paging and a local APIC, and calls by a page for the time, the console and the end.

import {
  defineGuest,
  type GuestCode,
  type GuestOperation,
  type GuestRefusal,
} from '../../ops/index.ts';
import { nativePc } from '../hw/native-guest.ts';
import { readPvclock } from '../hw/pvclock-guest.ts';
import { EFAULT, EINVAL, ENOENT, ENOSYS } from '../xen/abi/errno.ts';
import { EVTCHNOP_send } from '../xen/abi/event-channel.ts';
import * as abi from '../xen/abi/hvm.ts';
import { XENMEM_add_to_physmap } from '../xen/abi/memory.ts';
import { SCHEDOP_shutdown } from '../xen/abi/sched.ts';
import { VCPUOP_is_up } from '../xen/abi/vcpu.ts';
import { DOMID_SELF, sharedInfo, vcpuInfo } from '../xen/abi/xen.ts';
import { putByteInRing } from '../xen/guest-console.ts';
import { readStolenTime } from '../xen/guest-runstate.ts';
import { PVH_CALL_LIST } from './calls.ts';

const HYPERVISOR_BIT = 31;
const SLOT_BYTES = 32;
/** A number between those of the last call and of the first that is an architecture's own. */
const NO_CALL = 0x37;
const BILLION = 1e9;
const ARGUMENTS = { 32: ['ebx', 'ecx', 'edx'], 64: ['rdi', 'rsi', 'rdx'] } as const;
const CLOBBERS = ['bx', 'si', 'di'] as const;

/** A call by its name in the headers, or by number; its slot in the page has no more to say than the number. */
function call(code: GuestCode, name: string | number, ...args: readonly (string | number)[]): void {
  const number =
    typeof name === 'number' ? name : PVH_CALL_LIST.find((one) => one.name === name)!.number;
  const loads = args.map((value, n) => `mov ${ARGUMENTS[code.bits][n]}, ${value}`);
  code.text([...loads, 'mov eax, xen_pvh.calls', `add eax, ${number * SLOT_BYTES}`].join('; '));
  code.text('call {ax}');
}

const refused = (what: string, errno: number, emit: (code: GuestCode) => void): GuestRefusal => ({
  emit,
  clobbers: CLOBBERS,
  what,
  answer: -errno >>> 0,
});

const shared = (code: GuestCode, field: 'wc_sec' | 'wc_nsec'): string =>
  `xen_pvh.shared+${(code.bits === 64 ? sharedInfo.wide : sharedInfo.narrow).offsetOf(field)}`;

const shutDown = (reason: number): GuestOperation => ({
  emit(code) {
    code.text(`mov dword ptr [xen_pvh.op], ${reason}`);
    call(code, 'sched_op', SCHEDOP_shutdown, 'xen_pvh.op');
  },
  clobbers: CLOBBERS,
  by: 'sched_op.SCHEDOP_shutdown',
});

export const xenPvhGuest = defineGuest({
  ...nativePc,
  id: 'xen-pvh',
  detect(code) {
    const [no, done] = [code.fresh('no'), code.fresh('done')];
    const [ebx, ecx, edx] = abi.XEN_CPUID_SIGNATURE;
    code.text(`mov eax, 1; cpuid; bt ecx, ${HYPERVISOR_BIT}; jae ${no}`);
    code.text(`mov eax, ${abi.XEN_CPUID_FIRST_LEAF}; cpuid; cmp ebx, ${ebx}; jne ${no}`);
    code.text(`cmp ecx, ${ecx}; jne ${no}; cmp edx, ${edx}; jne ${no}`);
    code.text(`mov eax, 1; jmp ${done}; ${no}:; xor eax, eax; ${done}:`);
  },
  init(code) {
    code.text(`mov eax, ${abi.XEN_CPUID_FIRST_LEAF + 2}; cpuid; mov ecx, ebx`);
    code.text('mov eax, xen_pvh.calls; xor edx, edx; wrmsr');
    parameter(code, abi.HVM_PARAM_CONSOLE_PFN);
    code.text('shl eax, 12; mov [xen_pvh.console], eax');
    parameter(code, abi.HVM_PARAM_CONSOLE_EVTCHN);
    code.text('mov [xen_pvh.console_port], eax');
    // struct xen_add_to_physmap: the shared page in the place of one of ours.
    const gpfn = code.bits === 64 ? 16 : 12;
    code.text(`mov dword ptr [xen_pvh.op], ${DOMID_SELF}; mov dword ptr [xen_pvh.op+4], 0`);
    code.text('mov {word} ptr [xen_pvh.op+8], 0; mov eax, xen_pvh.shared; shr eax, 12');
    code.text(`mov [xen_pvh.op+${gpfn}], {ax}`);
    call(code, 'memory_op', XENMEM_add_to_physmap, 'xen_pvh.op');
  },
  operations: {
    'time.sched_clock': {
      ...readPvclock(`xen_pvh.shared; add {si}, ${vcpuInfo.wide.offsetOf('time')}`),
      by: 'vcpu_info.time',
    },
    'time.get_wallclock': {
      emit: (code) =>
        code
          .op('time.sched_clock')
          .text(`add eax, [${shared(code, 'wc_nsec')}]; adc edx, 0; mov ecx, ${BILLION}; div ecx`)
          .text(`add eax, [${shared(code, 'wc_sec')}]`),
      by: 'shared_info.wc',
    },
    'time.steal_clock': {
      emit: (code) => readStolenTime(code, 'xen_pvh', (name, ...args) => call(code, name, ...args)),
      clobbers: CLOBBERS,
      by: 'vcpu_op.VCPUOP_get_runstate_info',
    },
    'cpu.io_delay': { emit: () => {}, by: 'no-op' },
    'machine.power_off': shutDown(0),
    'machine.restart': shutDown(1),
  },
  cannot: {},
  console: { emit: (code) => putByteInRing(code, 'xen_pvh', call), clobbers: CLOBBERS },
  nullCall: { emit: (code) => call(code, 'xen_version', 0, 0), clobbers: CLOBBERS },
  badCall: {
    emit: (code) => call(code, NO_CALL),
    clobbers: CLOBBERS,
    answer: -ENOSYS >>> 0,
  },
  refusals: [
    refused('a parameter that is not there', EINVAL, (code) => {
      code.text(`mov dword ptr [xen_pvh.op], ${DOMID_SELF}; mov dword ptr [xen_pvh.op+4], 99`);
      call(code, 'hvm_op', abi.HVMOP_get_param, 'xen_pvh.op');
    }),
    refused('an event for a port that is not there', EINVAL, (code) => {
      code.text('mov dword ptr [xen_pvh.op], 4000');
      call(code, 'event_channel_op', EVTCHNOP_send, 'xen_pvh.op');
    }),
    refused('a vCPU that is not there', ENOENT, (code) => {
      call(code, 'vcpu_op', VCPUOP_is_up, 99, 0);
    }),
    refused('a structure where nothing is mapped', EFAULT, (code) => {
      call(code, 'event_channel_op', EVTCHNOP_send, '0x7ff00000');
    }),
    refused('a sub-operation of sched_op that is not there', ENOSYS, (code) => {
      call(code, 'sched_op', 99, 0);
    }),
  ],
  memory: [
    { label: 'xen_pvh.calls', bytes: 4096, align: 4096 },
    { label: 'xen_pvh.shared', bytes: 4096, align: 4096 },
    { label: 'xen_pvh.op', bytes: 64, align: 64 },
    { label: 'xen_pvh.console', bytes: 8, align: 8 },
    { label: 'xen_pvh.console_port', bytes: 8, align: 8 },
  ],
});

/** EAX := the low half of a parameter (hvm_op.h, struct xen_hvm_param). */
function parameter(code: GuestCode, index: number): void {
  code.text(`mov dword ptr [xen_pvh.op], ${DOMID_SELF}; mov dword ptr [xen_pvh.op+4], ${index}`);
  call(code, 'hvm_op', abi.HVMOP_get_param, 'xen_pvh.op');
  code.text('mov eax, [xen_pvh.op+8]');
}
