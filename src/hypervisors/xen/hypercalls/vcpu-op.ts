// vcpu_op: a vCPU's shared areas, its timers, and whether it is up.

import { EEXIST, EFAULT, EINVAL, ENOENT } from '../abi/errno.ts';
import { SHUTDOWN_poweroff } from '../abi/sched.ts';
import * as abi from '../abi/vcpu.ts';
import { vcpuInfo } from '../abi/xen.ts';
import { type Call, defineHypercall } from '../define.ts';
import { vcpuOf, type XenDomain, type XenVcpu } from '../domain.ts';
import { systemTime, writeRunstate } from '../runstate.ts';
import { endDomain } from '../shutdown.ts';
import { PERIOD_MIN_NANOS, setPeriod, setSingleshot, writeTime } from '../time.ts';
import { markPending } from '../upcall.ts';

const PAGE_BYTES = 4096;
/** STIME_DELTA_MAX of Xen: a quarter of what 64 bits hold. */
const PERIOD_MAX_HI = 0x3fff_ffff;
const NO_TIME_HI = 0x1f_ffff;

/** `sizeof` of vcpu_guest_context (arch-x86/xen.h) and of vcpu_hvm_context (hvm/hvm_vcpu.h). */
const CONTEXT_BYTES = { pv64: 5168, pv32: 2800, hvm: 128 } as const;
const contextBytes = ({ caller }: Call) => CONTEXT_BYTES[caller];

type Args = Readonly<Record<string, number>>;

/** The vCPU that a call names, which exists. */
const on =
  (handle: (call: Call, vcpu: XenVcpu, at: number) => number) =>
  (call: Call, _id: number, args: Args): number =>
    handle(call, vcpuOf(call.domain, args.vcpuid!)!, args.extra_args!);

export const vcpuOp = defineHypercall({
  number: 24,
  name: 'vcpu_op',
  ref: 'vcpu.h',
  callers: ['pv64', 'pv32', 'hvm'],
  inPlace: true,
  args: { cmd: 's32', vcpuid: 'u32', extra_args: 'gva' },
  first: ({ domain }, { vcpuid }) => (vcpuOf(domain, vcpuid) ? 0 : -ENOENT),
  subOperations: {
    [abi.VCPUOP_initialise]: {
      name: 'VCPUOP_initialise',
      handle: on((call, vcpu, at) => {
        if (!call.guest.bytes(at, contextBytes(call))) return -EFAULT;
        return vcpu.state.initialised ? -EEXIST : -EINVAL;
      }),
    },
    [abi.VCPUOP_up]: {
      name: 'VCPUOP_up',
      handle: on((_call, vcpu) => (vcpu.state.initialised ? 0 : -EINVAL)),
    },
    [abi.VCPUOP_down]: { name: 'VCPUOP_down', handle: on(down) },
    [abi.VCPUOP_is_up]: {
      name: 'VCPUOP_is_up',
      handle: on((_call, vcpu) => (vcpu.state.up ? 1 : 0)),
    },
    [abi.VCPUOP_get_runstate_info]: { name: 'VCPUOP_get_runstate_info', handle: on(getRunstate) },
    [abi.VCPUOP_register_runstate_memory_area]: {
      name: 'VCPUOP_register_runstate_memory_area',
      handle: on(registerRunstate),
    },
    [abi.VCPUOP_set_periodic_timer]: { name: 'VCPUOP_set_periodic_timer', handle: on(setPeriodic) },
    [abi.VCPUOP_stop_periodic_timer]: {
      name: 'VCPUOP_stop_periodic_timer',
      handle: on(({ domain }, vcpu) => {
        setPeriod(domain, vcpu, 0);
        return 0;
      }),
    },
    [abi.VCPUOP_set_singleshot_timer]: {
      name: 'VCPUOP_set_singleshot_timer',
      handle: on(setSingle),
    },
    [abi.VCPUOP_stop_singleshot_timer]: {
      name: 'VCPUOP_stop_singleshot_timer',
      handle: on((call, vcpu) => {
        if (vcpu !== call.vcpu) return -EINVAL;
        vcpu.singleshot.cancel();
        return 0;
      }),
    },
    [abi.VCPUOP_register_vcpu_info]: {
      name: 'VCPUOP_register_vcpu_info',
      handle: on(registerInfo),
    },
    [abi.VCPUOP_send_nmi]: {
      name: 'VCPUOP_send_nmi',
      handle: on(({ domain }, _vcpu, at) => {
        if (at !== 0) return -EINVAL;
        domain.platform.cpu.raiseNmi();
        return 0;
      }),
    },
    [abi.VCPUOP_get_physid]: {
      name: 'VCPUOP_get_physid',
      refuse: [-EINVAL, 'the vCPU is not pinned to a processor'],
    },
    [abi.VCPUOP_register_vcpu_time_memory_area]: {
      name: 'VCPUOP_register_vcpu_time_memory_area',
      handle: on(registerTime),
    },
  },
});

/** The last vCPU that goes down switches the domain off: common_vcpu_op of xen/common/domain.c (4.17). */
function down({ domain }: Call): number {
  endDomain(domain, SHUTDOWN_poweroff, 'VCPUOP_down of the last vCPU');
  return 0;
}

function getRunstate({ domain, guest }: Call, vcpu: XenVcpu, at: number): number {
  const { runstate } = vcpu.state;
  const time = [...runstate.time];
  time[runstate.state]! += systemTime(domain) - runstate.since;
  const patch = { state: runstate.state, state_entry_time: runstate.since, time };
  return guest.write(abi.vcpuRunstateInfo, at, patch) ? 0 : -EFAULT;
}

/** The address is kept as it is: what is not there when it is written is not written, as on Xen. */
function registerRunstate(call: Call, vcpu: XenVcpu, at: number): number {
  const area = areaOf(call, at);
  if (area === null) return -EFAULT;
  vcpu.state.runstateArea = area;
  writeRunstate(call.domain, vcpu);
  return 0;
}

function registerTime(call: Call, vcpu: XenVcpu, at: number): number {
  const area = areaOf(call, at);
  if (area === null) return -EFAULT;
  vcpu.state.timeArea = area;
  writeTime(call.domain, vcpu);
  return 0;
}

/** A pointer in a 64-bit field; 32-bit guests fill its low half. */
function areaOf({ guest, wide }: Call, at: number): number | null {
  if (!wide) return guest.u32(at);
  const arg = guest.read(abi.vcpuRegisterArea, at);
  return arg?.p ?? null;
}

function setPeriodic({ domain, guest }: Call, vcpu: XenVcpu, at: number): number {
  const arg = guest.read(abi.vcpuSetPeriodicTimer, at);
  if (!arg) return -EFAULT;
  const { lo, hi } = arg.period_ns;
  if (hi > PERIOD_MAX_HI || hi * 0x1_0000_0000 + lo < PERIOD_MIN_NANOS) return -EINVAL;
  setPeriod(domain, vcpu, nanos(arg.period_ns));
  return 0;
}

function setSingle(call: Call, vcpu: XenVcpu, at: number): number {
  if (vcpu !== call.vcpu) return -EINVAL;
  const arg = call.guest.read(abi.vcpuSetSingleshotTimer, at);
  if (!arg) return -EFAULT;
  setSingleshot(call.domain, vcpu, nanos(arg.timeout_abs_ns));
  return 0;
}

/** Times of centuries from now are all the same to us. */
function nanos({ lo, hi }: { lo: number; hi: number }): number {
  return Math.min(hi, NO_TIME_HI >>> 1) * 0x1_0000_0000 + lo;
}

/** From now on the guest looks there: what is pending moves with it, and everything is announced, so that nothing is lost. */
function registerInfo({ domain, guest }: Call, vcpu: XenVcpu, at: number): number {
  const arg = guest.read(abi.vcpuRegisterVcpuInfo, at);
  if (!arg) return -EFAULT;
  const { size } = vcpuInfo.wide;
  if (arg.offset > PAGE_BYTES - size || arg.offset % 4 !== 0) return -EINVAL;
  if (vcpu.state.placed) return -EINVAL;
  const page = domain.guest.frameAddress(arg.mfn);
  if (page < 0) return -EINVAL;
  moveInfo(domain, vcpu, page + arg.offset);
  vcpu.state.placed = true;
  return 0;
}

function moveInfo(domain: XenDomain, vcpu: XenVcpu, to: number): void {
  const { ram } = domain.platform;
  const { size } = vcpuInfo.wide;
  const old = vcpu.state.info >= 0 ? ram.read(vcpu.state.info, size) : null;
  ram.write(to, old ?? new Uint8Array(size));
  vcpu.state.info = to;
  const layout = domain.state.wideShared ? vcpuInfo.wide : vcpuInfo.narrow;
  ram.write(
    to + layout.offsetOf('evtchn_pending_sel'),
    new Uint8Array(domain.state.wideShared ? 8 : 4).fill(0xff),
  );
  writeTime(domain, vcpu);
  ram.setU8(to, 0);
  markPending(domain, vcpu);
}
