// What Xen refuses a PV guest, as the probe kernel asks for it: the calls and the errors.

import type { GuestRefusal } from '../../ops/index.ts';
import { EINVAL, ENOENT, ENOSYS } from '../xen/abi/errno.ts';
import { EVTCHNOP_send } from '../xen/abi/event-channel.ts';
import { VCPUOP_is_up } from '../xen/abi/vcpu.ts';
import * as abi from './abi.ts';
import { type Bits, callOp, hypercall } from './guest-calls.ts';
import { MFN, mmuext } from './guest-tables.ts';
import { PHYSDEVOP_set_iopl } from './physdev-abi.ts';

const NO_PORT = 1000;
/** No machine has so many. */
const NO_FRAME = 0x7fffff;

export function refusals(bits: Bits): readonly GuestRefusal[] {
  const refused = (what: string, errno: number, text: string): GuestRefusal => ({
    ...callOp(bits)(text, 'none'),
    what,
    answer: -errno >>> 0,
  });
  const call = (name: string, ...args: readonly (string | number | null)[]) =>
    hypercall(bits, name, ...args);
  return [
    refused(
      'a pin of a page that is mapped writable',
      EINVAL,
      `mov eax, page.a; shr eax, 12; ${MFN}; ${mmuext(bits, abi.MMUEXT_PIN_L1_TABLE)}`,
    ),
    refused(
      'an unpin of a page that is not pinned',
      EINVAL,
      `mov eax, page.a; shr eax, 12; ${MFN}; ${mmuext(bits, abi.MMUEXT_UNPIN_TABLE)}`,
    ),
    refused(
      "a base of tables in a frame that is not the guest's",
      EINVAL,
      `mov eax, ${NO_FRAME}; ${mmuext(bits, abi.MMUEXT_NEW_BASEPTR)}`,
    ),
    refused(
      "a GDT that reaches into the part that is Xen's",
      EINVAL,
      call('set_gdt', 'xen_pv.op', abi.FIRST_RESERVED_GDT_ENTRY + 1),
    ),
    refused(
      'an event for a port that is not bound',
      EINVAL,
      `mov dword ptr [xen_pv.op], ${NO_PORT}; ${call('event_channel_op', EVTCHNOP_send, 'xen_pv.op')}`,
    ),
    refused('a vCPU that is not there', ENOENT, call('vcpu_op', VCPUOP_is_up, 99, 0)),
    refused(
      'an IOPL of 4',
      EINVAL,
      `mov dword ptr [xen_pv.op], 4; ${call('physdev_op', PHYSDEVOP_set_iopl, 'xen_pv.op')}`,
    ),
    refused(
      'a callback of a type that is not there',
      ENOSYS,
      `mov dword ptr [xen_pv.op], 99; ${call('callback_op', abi.CALLBACKOP_register, 'xen_pv.op')}`,
    ),
  ];
}
