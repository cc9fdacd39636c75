// The parameters by which guest and toolstack agree on rings, ports and the way of an upcall: which a guest may set, and to what.

import { EFAULT, EINVAL, ENODEV, EPERM, ESRCH } from '../xen/abi/errno.ts';
import * as abi from '../xen/abi/hvm.ts';
import { SHUTDOWN_crash } from '../xen/abi/sched.ts';
import { DOMID_CONTROL } from '../xen/abi/xen.ts';
import type { Call } from '../xen/define.ts';
import { isSelf } from '../xen/domid.ts';
import { endDomain } from '../xen/shutdown.ts';
import { upcallPending } from '../xen/upcall.ts';
import { latchWordSize } from './word-size.ts';

interface Value {
  readonly lo: number;
  readonly hi: number;
}
/** What a parameter becomes; null: the domain ends; or an error. */
type Rule = (value: Value) => Value | null | number;

const TSS_BYTES = 104;
/** A TSS with its bitmaps of 256 interrupts and 65536 ports. */
const TSS_BYTES_MAX = TSS_BYTES + 256 / 8 + 65536 / 8 + 1;
/** What it was when its size was not told. */
const OLD_TSS_BYTES = 128;
const FIP_WIDTHS = [0, 4, 8];

/** Parameters that a guest may set, and their values (Xen 4.17, hvm_allow_set_param and hvm_set_param in arch/x86/hvm/hvm.c). */
const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [abi.HVM_PARAM_CALLBACK_IRQ, (value) => value],
  [abi.HVM_PARAM_VM_GENERATION_ID_ADDR, (value) => value],
  [abi.HVM_PARAM_STORE_EVTCHN, (value) => value],
  [abi.HVM_PARAM_CONSOLE_EVTCHN, (value) => value],
  // There is no power timer whose ports could move.
  [abi.HVM_PARAM_ACPI_IOPORTS_LOCATION, () => -ENODEV],
  [
    abi.HVM_PARAM_X87_FIP_WIDTH,
    (value) => (value.hi === 0 && FIP_WIDTHS.includes(value.lo) ? value : -EINVAL),
  ],
  [
    abi.HVM_PARAM_VM86_TSS,
    ({ lo, hi }) => (hi !== 0 ? null : { lo, hi: lo === 0 ? 0 : OLD_TSS_BYTES }),
  ],
  [
    abi.HVM_PARAM_VM86_TSS_SIZED,
    ({ lo, hi }) => (hi < TSS_BYTES ? null : { lo, hi: Math.min(hi, TSS_BYTES_MAX) }),
  ],
]);
/** Those that it may only ask for. */
const ONLY_READ: ReadonlySet<number> = new Set([
  abi.HVM_PARAM_STORE_PFN,
  abi.HVM_PARAM_CONSOLE_PFN,
  abi.HVM_PARAM_ALTP2M,
]);
/** Numbers that no parameter has, or none any more (hvm/params.h, Deprecated). */
const NONE: ReadonlySet<number> = new Set([4, 13, 20, 21, 22, 23, 24, 25, 26, 30]);
const CALLBACK_TYPE_SHIFT = 24; // Of the high half.
/** Vectors below are exceptions. */
const FIRST_VECTOR = 16;

/** Both of the TSS are one. */
const placeOf = (index: number): number =>
  index === abi.HVM_PARAM_VM86_TSS ? abi.HVM_PARAM_VM86_TSS_SIZED : index;

function named({ domain, guest }: Call, at: number) {
  const arg = guest.read(abi.hvmParam, at);
  if (!arg) return -EFAULT;
  if (arg.index >= abi.HVM_NR_PARAMS) return -EINVAL;
  // The control domain is not of this kind.
  if (!isSelf(domain, arg.domid)) return arg.domid === DOMID_CONTROL ? -EINVAL : -ESRCH;
  return NONE.has(arg.index) ? -EINVAL : arg;
}

export function setParam(call: Call, at: number): number {
  const { domain } = call;
  const arg = named(call, at);
  if (typeof arg === 'number') return arg;
  const rule = RULES.get(arg.index);
  if (!rule) return -EPERM;
  const old = domain.state.params[placeOf(arg.index)]!;
  const value = rule(arg.value);
  if (typeof value === 'number') return value;
  if (value === null) {
    endDomain(domain, SHUTDOWN_crash, 'HVMOP_set_param: no TSS for virtual-8086 mode');
    return -EINVAL;
  }
  old.lo = value.lo;
  old.hi = value.hi;
  if (arg.index === abi.HVM_PARAM_CALLBACK_IRQ) setCallback(call);
  return 0;
}

/**
 * From now on events come this way; one that waits comes at once. The word size of shared_info is the caller's. Ways that need
 * a PIC and an I/O APIC change nothing, not even the vector that was named before (Xen 4.17, hvm_set_callback_via).
 */
function setCallback({ domain, vcpu, wide }: Call): void {
  const { state } = domain;
  latchWordSize(domain, wide);
  const { lo, hi } = state.params[abi.HVM_PARAM_CALLBACK_IRQ]!;
  if (hi >>> CALLBACK_TYPE_SHIFT !== abi.HVM_PARAM_CALLBACK_TYPE_VECTOR) return;
  const vector = lo & 0xff;
  state.callbackVector = vector >= FIRST_VECTOR ? vector : -1;
  if (upcallPending(domain, vcpu)) domain.guest.upcall(vcpu);
}

export function getParam(call: Call, at: number): number {
  const arg = named(call, at);
  if (typeof arg === 'number') return arg;
  if (!RULES.has(arg.index) && !ONLY_READ.has(arg.index)) return -EPERM;
  const { lo, hi } = call.domain.state.params[placeOf(arg.index)]!;
  const value = { lo, hi: arg.index === abi.HVM_PARAM_VM86_TSS ? 0 : hi };
  return call.guest.write(abi.hvmParam, at, { value }) ? 0 : -EFAULT;
}
