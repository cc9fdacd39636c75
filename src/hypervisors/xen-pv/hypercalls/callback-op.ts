// callback_op: the entries by which Xen calls a guest's kernel.

import { isCanonical } from '../../../cpu/control-bits.ts';
import { EFAULT, EINVAL, ENOSYS } from '../../xen/abi/errno.ts';
import { xenStruct } from '../../xen/abi/layout.ts';
import { type Call, defineHypercall } from '../../xen/define.ts';
import * as abi from '../abi.ts';
import { guestSelector } from '../descriptors.ts';
import { forgetNmi, registerNmi } from '../nmi.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';
import type { CallbackState, PvVcpuState } from '../pv-state.ts';

const callbackRegister = xenStruct(
  'struct callback_register',
  { type: 'u16', flags: 'u16', address: 'handle' },
  { header: 'callback.h', size: [16, 8], partial: true },
);
const callbackUnregister = xenStruct(
  'struct callback_unregister',
  { type: 'u16', _unused: 'u16' },
  { header: 'callback.h', size: [4, 4] },
);

export const callbackOp = defineHypercall({
  number: 30,
  name: 'callback_op',
  ref: 'callback.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 's32', arg: 'gva' },
  subOperations: {
    [abi.CALLBACKOP_register]: { name: 'CALLBACKOP_register', handle: register },
    [abi.CALLBACKOP_unregister]: { name: 'CALLBACKOP_unregister', handle: unregister },
  },
});

function register(call: Call, at: number): number {
  const arg = call.wide ? readWide(call, at) : readNarrow(call, at);
  if (!arg) return -EFAULT;
  // Where no guest can be is an address too: it is the guest's own fault when it is entered there.
  if (call.wide && !isCanonical(arg.address)) return -EINVAL;
  const vcpu = currentVcpu(pvOf(call));
  if (arg.type === abi.CALLBACKTYPE_nmi) {
    registerNmi(vcpu, arg.address, call.wide);
    return 0;
  }
  const entry = callbackOf(vcpu, arg.type, call.wide);
  if (entry === null) return unknownType(arg.type, call.wide);
  entry.address = arg.address;
  entry.cs = arg.cs;
  // An event always masks.
  const chooses = arg.type !== abi.CALLBACKTYPE_event;
  entry.masksEvents = chooses && (arg.flags & abi.CALLBACKF_mask_events) !== 0;
  return 0;
}

function readWide({ guest }: Call, at: number) {
  const arg = guest.read(callbackRegister, at);
  return arg && { ...arg, cs: 0 };
}

/** 32-bit guests name selector and address: cs and eip of xen_callback_t (arch-x86/xen-x86_32.h). */
function readNarrow({ guest }: Call, at: number) {
  const type = guest.u32(at);
  const cs = guest.u32(at + 4);
  const address = guest.u32(at + 8);
  if (type === null || cs === null || address === null) return null;
  return { type: type & 0xffff, flags: type >>> 16, cs: guestSelector(cs, true), address };
}

/** 32-bit guests had another SYSENTER before Xen 3.1 (callback.h). */
function unknownType(type: number, wide: boolean): number {
  return type === abi.CALLBACKTYPE_sysenter_deprecated && !wide ? -EINVAL : -ENOSYS;
}

/** Only NMIs can be gone without. */
function unregister(call: Call, at: number): number {
  const arg = call.guest.read(callbackUnregister, at);
  if (!arg) return -EFAULT;
  const vcpu = currentVcpu(pvOf(call));
  if (arg.type === abi.CALLBACKTYPE_nmi) {
    forgetNmi(vcpu);
    return 0;
  }
  return callbackOf(vcpu, arg.type, call.wide) ? -EINVAL : unknownType(arg.type, call.wide);
}

function callbackOf(vcpu: PvVcpuState, type: number, wide: boolean): CallbackState | null {
  switch (type) {
    case abi.CALLBACKTYPE_event:
      return vcpu.event;
    case abi.CALLBACKTYPE_failsafe:
      return vcpu.failsafe;
    case abi.CALLBACKTYPE_syscall:
      // A 32-bit guest's programs have the other one.
      return wide ? vcpu.syscall : null;
    case abi.CALLBACKTYPE_syscall32:
      return vcpu.syscall32;
    case abi.CALLBACKTYPE_sysenter:
      return vcpu.sysenter;
    default:
      return null;
  }
}
