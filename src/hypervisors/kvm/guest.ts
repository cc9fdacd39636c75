// The guest side of KVM: found by its leaf, asked for the time by MSRs; all else is hardware's.

import { defineGuest, type GuestRefusal } from '../../ops/index.ts';
import { nativePc } from '../hw/native-guest.ts';
import { readPvclock } from '../hw/pvclock-guest.ts';
import * as abi from './abi.ts';

const HYPERVISOR_BIT = 31;
const [EBX, ECX, EDX] = abi.KVM_SIGNATURE;
const KVM_HC_VAPIC_POLL_IRQ = 1;
/** Offsets in pvclock_wall_clock. */
const [SECONDS, NANOSECONDS] = [4, 8];
const VERSION = abi.kvmStealTime.offsetOf('version');
const BILLION = 1e9;

const refusedMsr = (what: string, msr: number, value: number): GuestRefusal => ({
  emit: (code) =>
    void code
      .text(`mov ecx, ${msr}; mov eax, ${value}; xor edx, edx`)
      .op('cpu.write_msr')
      .text('mov eax, ecx'),
  what,
  answer: 1,
});

export const kvmGuest = defineGuest({
  ...nativePc,
  id: 'kvm',
  detect(code) {
    const [no, done] = [code.fresh('no'), code.fresh('done')];
    code.text(`mov eax, 1; cpuid; bt ecx, ${HYPERVISOR_BIT}; jae ${no}`);
    code.text(`mov eax, ${abi.KVM_CPUID_SIGNATURE}; cpuid; cmp ebx, ${EBX}; jne ${no}`);
    code.text(`cmp ecx, ${ECX}; jne ${no}; cmp edx, ${EDX}; jne ${no}`);
    code.text(`mov eax, 1; jmp ${done}; ${no}:; xor eax, eax; ${done}:`);
  },
  // Hosts of before 2.6.35 have only the old numbers (Documentation/virt/kvm/x86/msr.rst).
  init(code) {
    const [old, named] = [code.fresh('old'), code.fresh('named')];
    code.text(
      `mov eax, ${abi.KVM_CPUID_FEATURES}; cpuid; test eax, ${abi.KVM_FEATURE_CLOCKSOURCE2}`,
    );
    code.text(
      `je ${old}; mov ecx, ${abi.MSR_KVM_SYSTEM_TIME_NEW}; mov esi, ${abi.MSR_KVM_WALL_CLOCK_NEW}`,
    );
    code.text(
      `jmp ${named}; ${old}:; mov ecx, ${abi.MSR_KVM_SYSTEM_TIME}; mov esi, ${abi.MSR_KVM_WALL_CLOCK}`,
    );
    code.text(
      `${named}:; mov [kvm.wall_msr], esi; xor edx, edx; mov eax, kvm.clock; or eax, 1; wrmsr`,
    );
    const none = code.fresh('steal');
    code.text(`mov eax, ${abi.KVM_CPUID_FEATURES}; cpuid; test eax, ${abi.KVM_FEATURE_STEAL_TIME}`);
    code.text(`je ${none}; mov ecx, ${abi.MSR_KVM_STEAL_TIME}; xor edx, edx; mov eax, kvm.steal`);
    code.text(`or eax, 1; wrmsr; ${none}:`);
  },
  operations: {
    'time.sched_clock': { ...readPvclock('kvm.clock'), by: 'MSR_KVM_SYSTEM_TIME' },
    // The wall clock at boot, and what has passed since.
    'time.get_wallclock': {
      emit(code) {
        code.text('mov ecx, [kvm.wall_msr]; xor edx, edx; mov eax, kvm.wall; wrmsr');
        code.op('time.sched_clock').text(`add eax, [kvm.wall+${NANOSECONDS}]; adc edx, 0`);
        code.text(`mov ecx, ${BILLION}; div ecx; add eax, [kvm.wall+${SECONDS}]`);
      },
      by: 'MSR_KVM_WALL_CLOCK',
    },
    // Without the feature the area stays zero.
    'time.steal_clock': {
      emit(code) {
        const again = code.fresh('steal');
        code.text(`${again}:; mov ecx, [kvm.steal+${VERSION}]; test cl, 1; jne ${again}`);
        code.text('mov eax, [kvm.steal]; mov edx, [kvm.steal+4]');
        code.text(`cmp ecx, [kvm.steal+${VERSION}]; jne ${again}`);
      },
      by: 'MSR_KVM_STEAL_TIME',
    },
    // KVM_FEATURE_NOP_IO_DELAY: ports of a virtual machine need no rest.
    'cpu.io_delay': { emit: () => {}, by: 'KVM_FEATURE_NOP_IO_DELAY' },
  },
  cannot: {},
  nullCall: {
    emit: (code) => code.text(`push {bx}; mov eax, ${KVM_HC_VAPIC_POLL_IRQ}; vmcall; pop {bx}`),
  },
  badCall: {
    emit: (code) => code.text('push {bx}; mov eax, 0x7777; vmcall; pop {bx}'),
    answer: -abi.KVM_ENOSYS >>> 0,
  },
  // Reserved bits (Documentation/virt/kvm/x86/msr.rst): #GP, which write_msr answers with 1.
  refusals: [
    refusedMsr('MSR_KVM_STEAL_TIME with reserved bits', abi.MSR_KVM_STEAL_TIME, 0x3f),
    refusedMsr('MSR_KVM_ASYNC_PF_EN with reserved bits', abi.MSR_KVM_ASYNC_PF_EN, 0x31),
    refusedMsr('MSR_KVM_PV_EOI_EN, not aligned', abi.MSR_KVM_PV_EOI_EN, 3),
  ],
  memory: [
    { label: 'kvm.clock', bytes: 32, align: 64 },
    { label: 'kvm.steal', bytes: abi.kvmStealTime.size, align: 64 },
    { label: 'kvm.wall', bytes: 16, align: 16 },
    { label: 'kvm.wall_msr', bytes: 4, align: 4 },
  ],
});
