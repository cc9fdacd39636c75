// The first steps of the probe kernel as a guest of Xen PV: where start_info says that things are, the shared page, events.

import type { GuestCode } from '../../ops/index.ts';
import { EVTCHNOP_bind_virq } from '../xen/abi/event-channel.ts';
import { sharedInfo } from '../xen/abi/xen.ts';
import * as abi from './abi.ts';
import { hypercall, MACH2PHYS, MAP_RW } from './guest-calls.ts';
import { MFN, mmuext, protect } from './guest-tables.ts';
import { startInfo } from './start-info.ts';

/** AX, CX and DX are lost, and all that is not BP or SP. */
export function startGuest(code: GuestCode): void {
  const { bits } = code;
  const wide = bits === 64;
  const info = wide ? startInfo.wide : startInfo.narrow;
  const at = (field: Parameters<typeof info.offsetOf>[0]) => `[{bp}+${info.offsetOf(field)}]`;
  code.text(
    `mov {bp}, [kernel.boot_argument]; mov {ax}, ${at('mfn_list')}; mov [xen_pv.p2m], {ax}`,
  );
  code.text(`mov {ax}, ${at('pt_base')}; mov [xen_pv.cr3], {ax}; mov eax, ${at('console_evtchn')}`);
  code.text(`mov [xen_pv.console_port], eax; mov {cx}, ${MACH2PHYS[bits]}`);
  code.text(`mov {ax}, ${at('console_mfn')}; mov {ax}, [{cx}+{ax}*{W}]; shl {ax}, 12`);
  code.text('mov [xen_pv.console], {ax}');
  letRing3In(code);
  mapSharedInfo(code, at('shared_info'));
  setCallbacks(code);
  code.text(hypercall(bits, 'vm_assist', 0, abi.VMASST_TYPE_writable_pagetables));
  listenToTimer(code);
}

/** In the place of a page of the kernel's. */
function mapSharedInfo(code: GuestCode, address: string): void {
  const call = (...values: readonly (string | number | null)[]) =>
    hypercall(code.bits, 'update_va_mapping', 'xen_pv.shared', ...values, abi.UVMF_INVLPG);
  if (code.bits === 64) code.text(`mov rsi, ${address}; or rsi, ${MAP_RW}; ${call(null)}`);
  else code.text(`mov ecx, ${address}; or ecx, ${MAP_RW}; ${call(null, 0)}`);
}

function setCallbacks(code: GuestCode): void {
  for (const [type, label] of [
    [abi.CALLBACKTYPE_event, 'xen_pv.event'],
    [abi.CALLBACKTYPE_failsafe, 'xen_pv.failsafe'],
  ] as const) {
    code.text(`mov dword ptr [xen_pv.op], ${type}; mov {word} ptr [xen_pv.op+8], ${label}`);
    // struct callback_register: 32-bit guests name a segment as well.
    if (code.bits === 32) code.text(`mov dword ptr [xen_pv.op+4], ${abi.FLAT_RING1_CS}`);
    code.text(hypercall(code.bits, 'callback_op', abi.CALLBACKOP_register, 'xen_pv.op'));
  }
}

/** Programs have the kernel's tables here: in 64 bits they are named as theirs, in 32 the loader has left out that they may. */
function letRing3In(code: GuestCode): void {
  const { bits } = code;
  if (bits === 64) {
    code.text(`mov rax, [xen_pv.cr3]; shr rax, 12; ${MFN}`);
    code.text(mmuext(bits, abi.MMUEXT_NEW_USER_BASEPTR, 'cpu'));
    return;
  }
  const page = code.fresh('page');
  code.text(`mov eax, kernel.image_start; shr eax, 12; ${page}:; ${protect(bits, MAP_RW)}`);
  code.text(`inc eax; mov ecx, kernel.image_end; shr ecx, 12; cmp eax, ecx; jb ${page}`);
}

/** The timer is the only event that the kernel wants to hear of. */
function listenToTimer(code: GuestCode): void {
  const masks = (code.bits === 64 ? sharedInfo.wide : sharedInfo.narrow).offsetOf('evtchn_mask');
  code.text('mov dword ptr [xen_pv.op], 0; mov dword ptr [xen_pv.op+4], 0');
  code.text(hypercall(code.bits, 'event_channel_op', EVTCHNOP_bind_virq, 'xen_pv.op'));
  code.text('mov ecx, [xen_pv.op+8]; mov {ax}, -1; btr {ax}, {cx}');
  code.text(`mov {word} ptr [xen_pv.shared+${masks}], -1; mov [xen_pv.shared+${masks}], {ax}`);
}
