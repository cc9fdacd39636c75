// The guest's side of Xen's runstates, for the probe kernel: for how long others ran while its vCPU could have.

import type { GuestCode } from '../../ops/index.ts';
import {
  RUNSTATE_offline,
  RUNSTATE_runnable,
  VCPUOP_get_runstate_info,
  vcpuRunstateInfo,
} from './abi/vcpu.ts';

/** EAX and EDX := nanoseconds runnable and offline (Linux 6.1, xen/time.c, xen_steal_clock). `op` of the binding has 64 bytes. */
export function readStolenTime(
  code: GuestCode,
  own: string,
  call: (name: string, ...args: readonly (string | number)[]) => void,
): void {
  const times = (code.bits === 64 ? vcpuRunstateInfo.wide : vcpuRunstateInfo.narrow).offsetOf(
    'time',
  );
  const half = (state: number, byte: number) => `[${own}.op+${times + state * 8 + byte}]`;
  call('vcpu_op', VCPUOP_get_runstate_info, 0, `${own}.op`);
  code.text(`mov eax, ${half(RUNSTATE_runnable, 0)}; mov edx, ${half(RUNSTATE_runnable, 4)}`);
  code.text(`add eax, ${half(RUNSTATE_offline, 0)}; adc edx, ${half(RUNSTATE_offline, 4)}`);
}
